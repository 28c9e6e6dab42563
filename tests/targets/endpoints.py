"""All endpoints of the contract."""

from loopmark.targets import contract, event_contract, file_contract, upstream_contract

ENDPOINTS = (
    *contract.ENDPOINTS,
    *event_contract.ENDPOINTS,
    *file_contract.ENDPOINTS,
    *upstream_contract.ENDPOINTS,
)
