"""The load of one job on several processes, here or on other machines."""
