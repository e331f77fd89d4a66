#!/bin/sh
# Imports image archives into this node's containerd store, not unpacked: that is done when the node starts.
set -eu
nohup containerd > /tmp/containerd.log 2>&1 &
containerd=$!
attempts=0
until ctr version > /dev/null 2>&1; do
  attempts=$((attempts + 1))
  if [ "$attempts" -gt 100 ]; then cat /tmp/containerd.log; exit 1; fi
  sleep 0.1
done
for archive in "$@"; do
  ctr --namespace k8s.io images import --label io.cri-containerd.pinned=pinned --no-unpack "$archive"
done
kill "$containerd"
wait "$containerd" || true
rm -f /tmp/containerd.log
