"""What is measured rather than tested: speed, memory, and how close fills come to real trades."""
