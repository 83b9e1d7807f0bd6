"""Scrubjay: a semantic memory service for AI assistants on Milvus."""

__version__ = "0.1.0"
