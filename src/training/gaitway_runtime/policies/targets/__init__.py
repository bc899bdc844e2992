"""Export targets: one module for each deployer, with what it cannot express and the files that its loader accepts."""
