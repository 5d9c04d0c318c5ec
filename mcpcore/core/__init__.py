"""One conversation as a pure state machine: frames and answers go in, events and frames come out."""
