"""What is measured of a model beside its loss and accuracy, one measure a module."""
