"""How loads are executed: who begins what when, and what the driver spends meanwhile."""
