"""What in an input a trained model's answer rests on: maps of images, and shares of words."""
