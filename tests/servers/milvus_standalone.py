"""Runs a Milvus Standalone until standard input closes. Run by a Python that has the `milvus` package."""

import importlib
import json
import os
import socket
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Start a server on free ports, print its port, and stop it when the parent goes."""
    # Imported by name, for the tests' own environment does not have it.
    server = importlib.import_module("milvus").MilvusServer()
    server.set_base_dir(str(folder))
    ports = [name for name in server.config.configurable_items if name.endswith("_port")]
    server.config.configs.update({name: free_port() for name in ports})
    server.webservice_port = free_port()
    # The embedded etcd would take port 2380 for its peers, and a second server on the machine would wait for ever.
    os.environ["ETCD_CONFIG_PATH"] = str(etcd_config(folder, server.config.configs["etcd_port"], free_port()))
    server.start()
    try:
        print(server.config.configurable_items["proxy_port"][1], flush=True)
        sys.stdin.read()
    finally:
        server.stop()


def etcd_config(folder: Path, client: int, peer: int) -> Path:
    here = f"http://127.0.0.1:{peer}"
    config = {
        "name": "default",
        "data-dir": str(folder / "etcd"),
        "listen-peer-urls": here,
        "initial-advertise-peer-urls": here,
        "initial-cluster": f"default={here}",
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
    }
    path = folder / "etcd.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML.
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main(Path(sys.argv[1]))
