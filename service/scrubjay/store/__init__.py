"""The memory store on Milvus Lite, Standalone, a cluster or Zilliz Cloud."""

import logging
import os

# Milvus Lite reads this when it is imported. It scans rows that are not yet flushed in Python, so its default of
# 128 MiB would make searches slow while writes go on; small segments keep them fast.
os.environ.setdefault("MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES", "1048576")

# pymilvus logs each failed call with a traceback that can quote the filter, and so what a memory says.
# The gRPC server inside Milvus Lite reports each method that Lite lacks as an error.
for _noisy in ("pymilvus", "milvus_lite", "grpc"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)
