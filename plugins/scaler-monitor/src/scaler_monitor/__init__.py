"""The Monitor API of scaler: for people, workflows and guests."""
