#!/bin/sh
# Turns a Debian with kind's files into kind's node. Runs once, while the image is built.
set -eu

# The modules of Go's cache carry no permissions: scripts are 0755, everything else 0644.
chmod 0755 /kind /kind/bin /kind/bin/* /usr/local/bin/*
find /etc/systemd/system /etc/containerd /etc/default /etc/sysctl.d /etc/crictl.yaml /etc/cni -type f -exec chmod 0644 {} +
find /etc/systemd/system /etc/containerd /etc/cni /kind /LICENSES -type d -exec chmod 0755 {} +

# Where kind expects what Debian keeps elsewhere.
mkdir -p /usr/local/sbin /opt/cni
ln -sf /usr/bin/containerd /usr/bin/ctr /usr/bin/containerd-shim-runc-v2 /usr/local/bin/
ln -sf /usr/sbin/runc /usr/local/sbin/runc
rm -rf /opt/cni/bin /lib/systemd/system/containerd.service
ln -s /usr/lib/cni /opt/cni/bin

# Only the units that a node needs.
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* \
  /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl* \
  /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >> /etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service volume-permissions.service
systemctl mask systemd-binfmt.service

# An oom_score_adj below the parent's needs CAP_SYS_RESOURCE, which root inside some machines lacks.
sed -i -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
  -e "s#sandbox_image = .*#sandbox_image = \"${PAUSE_IMAGE}\"#" /etc/containerd/config.toml
ctr oci spec |
  jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"}
      | del(.process.rlimits)' > /etc/containerd/cri-base.json

mkdir -p /etc/kubernetes/manifests
printf '%s' "${KUBERNETES_VERSION}" > /kind/version
