"""From held-out knees to an answer: evidence, figures, sentences, tables."""
