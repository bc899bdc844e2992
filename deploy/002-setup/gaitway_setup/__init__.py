"""Sets up a cluster for gaitway: numbered steps over what Terraform made, each safe to run again."""
