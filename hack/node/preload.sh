#!/bin/sh
# Imports image archives into this node's containerd store, not unpacked: that is done when the node starts.
# Each line of the list: an archive, the name that its image has there, and the names that it gets.
set -eu
images() { ctr --namespace k8s.io images "$@"; }

nohup containerd > /tmp/containerd.log 2>&1 &
containerd=$!
attempts=0
until ctr version > /dev/null 2>&1; do
  attempts=$((attempts + 1))
  if [ "$attempts" -gt 100 ]; then cat /tmp/containerd.log; exit 1; fi
  sleep 0.1
done
while read -r archive name references; do
  images import --no-unpack "$archive"
  for reference in $references; do
    images tag "$name" "$reference"
    images label "$reference" io.cri-containerd.pinned=pinned
  done
  images remove "$name"
done < "$1"
kill "$containerd"
wait "$containerd" || true
rm -f /tmp/containerd.log
