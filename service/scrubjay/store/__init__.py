"""The memory store on Milvus Lite, Standalone, a cluster or Zilliz Cloud."""

import os

# Milvus Lite reads this when it is imported. It scans rows that are not yet flushed in Python, so its default of
# 128 MiB would make searches slow while writes go on; small segments keep them fast.
os.environ.setdefault("MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES", "524288")
