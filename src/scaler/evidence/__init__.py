"""Evidence: what is kept of machines that failed, in files, bounded in size and age."""
