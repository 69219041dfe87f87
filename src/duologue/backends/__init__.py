"""Who answers: the contract, and one folder (or file) a backend."""
