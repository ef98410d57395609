package nats

const roleVar = "OPENMAS_TEST_NATS_ROLE"

func child(role string) int { return 1 }
