"""What others may know of the operator: the resource's types, names on objects, and metric names."""
