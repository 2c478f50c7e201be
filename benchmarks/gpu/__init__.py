"""What needs a GPU: proofs that it computes what a CPU computes, figures of its speed, a study."""
