"""One turn as a state machine over a fixed event type; everything outside comes in through `ports`."""
