"""Cluster set-up for gaitway: numbered steps on the Terraform deployment, each safe to run again."""
