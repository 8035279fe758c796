"""What a scaler answers, as lines for people: pure, from plain data that may lack what is new."""
