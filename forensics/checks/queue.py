"""Queue: `embeddings_queue` and the watermarks of `max_seq_id`."""
