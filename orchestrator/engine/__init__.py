"""What happens next: the clock, the order of events, stages and the barrier. Pure: events in, commands out."""
