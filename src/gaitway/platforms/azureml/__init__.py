"""Azure ML platform: command jobs, submitted with Microsoft's client and followed over REST."""
