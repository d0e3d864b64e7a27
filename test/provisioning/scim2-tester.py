"""Runs scim2-tester against the server at SCIM_URL as the holder of SCIM_TOKEN; prints what failed, and fails if anything did."""

import os
import sys

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

client = SyncSCIMClient(
    httpx2.Client(
        base_url=os.environ["SCIM_URL"],
        headers={"Authorization": f"Bearer {os.environ['SCIM_TOKEN']}"},
        timeout=60,
    )
)
results = check_server(client)
counts: dict[str, int] = {}
for result in results:
    counts[result.status.name] = counts.get(result.status.name, 0) + 1
    if result.status not in (Status.SUCCESS, Status.ACCEPTABLE):
        print(f"{result.status.name} {result.title}: {result.reason}")
print(" ".join(f"{name}={count}" for name, count in sorted(counts.items())))
sys.exit(0 if set(counts) <= {"SUCCESS", "ACCEPTABLE"} and counts.get("SUCCESS", 0) > 100 else 1)
