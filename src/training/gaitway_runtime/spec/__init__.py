"""The wire: jobs, settings, results and errors, shared by both packages. Standard library only."""
