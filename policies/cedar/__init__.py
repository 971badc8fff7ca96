"""Speaks Cedar: schema, shapes, context, evaluation."""
