"""An API server for tests, without nodes: etcd, kube-apiserver and, if asked, kube-controller-manager.

They run as processes on this machine's loopback, on free ports, in a folder that disappears with them. Ready in
a few seconds, so that a test session (or a test) can have its own::

    with ControlPlane(controller_manager=True) as plane:
        plane.kubectl("apply", "--filename", "manifests/crds")
        read_only = plane.kubeconfig_for("eve", ["viewers"])

`python -m hack.control_plane` runs one until Ctrl-C and prints the line that points kubectl to it.
"""

from __future__ import annotations

import base64
import ctypes
import json
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from hack import shell
from hack.cache import hash_of, remove
from hack.certificates import Authority, Pair, new_key, private_pem, public_pem
from hack.tools import binaries

LOOPBACK = "127.0.0.1"
ADVERTISED = "192.0.2.1"  # reserved for documentation: the API server refuses to advertise loopback
SERVICE_RANGE = "10.96.0.0/24"
SERVICE_ADDRESS = "10.96.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>

ADMIN: tuple[str, list[str]] = ("admin", ["system:masters"])
CONTROLLER_MANAGER: tuple[str, list[str]] = ("system:kube-controller-manager", [])
CONTROLLERS = (
    "cronjob-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)


class ControlPlane:
    """A Kubernetes API for the length of a `with` block (or between `start` and `stop`)."""

    def __init__(
        self, *, controller_manager: bool = False, api_server_args: Sequence[str] = (), keep: bool = False
    ) -> None:
        self._with_controllers = controller_manager
        self._extra_args = list(api_server_args)
        self._keep = keep
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._authority = Authority()

    def __enter__(self) -> ControlPlane:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> ControlPlane:
        """Start everything, and return when the API server says that it is ready."""
        self._program = binaries.kubernetes  # first: kubectl is then a link to it
        self.kubectl_path = binaries.kubectl
        self.folder = Path(tempfile.mkdtemp(prefix="tuning-control-plane-"))
        try:
            self._write_keys()
            self._port = free_port()
            self.server = f"https://{LOOPBACK}:{self._port}"
            self.kubeconfig = self.kubeconfig_for(*ADMIN)
            self._start_api()
            self._wait_until("the API server is ready", self._ready)
            if self._with_controllers:
                self._start_controllers()
                self._wait_until("namespaces get their service account", self._has_service_account)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the processes and remove their folder."""
        for process in reversed(self._processes.values()):
            process.kill()  # nothing that they hold outlives them
        for process in self._processes.values():
            process.wait(STOP_SECONDS)
        self._processes.clear()
        if not self._keep:
            remove(self.folder)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig in which a client certificate says: this is `user`, in `groups`."""
        path = self.folder / f"{hash_of(user, *groups)}.kubeconfig"
        if not path.exists():
            client = self._authority.client(user, groups)
            path.write_text(json.dumps(kubeconfig(self.server, self._authority.certificate, client)))
            path.chmod(0o600)
        return path

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | None = None,  # noqa: A002 - as in subprocess
        user: str | None = None,
        groups: Sequence[str] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as cluster-admin or as `user`; with `check`, a failure raises what kubectl said."""
        credentials = self.kubeconfig if user is None else self.kubeconfig_for(user, groups)
        # A discovery cache of another server that had this port would mislead.
        options: list[str | Path] = ["--kubeconfig", credentials, "--cache-dir", self.folder / "kubectl-cache"]
        command = [self.kubectl_path, *options, *arguments]
        result = subprocess.run(
            [str(word) for word in command],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
        )
        if check and result.returncode != 0:
            raise shell.CommandError(f"{shell.render(command)} ended with {result.returncode}: {result.stderr}")
        return result

    def log(self, program: str) -> Path:
        """The log of `etcd`, `kube-apiserver` or `kube-controller-manager`, while they run."""
        return self.folder / f"{program}.log"

    def _write_keys(self) -> None:
        service_accounts = new_key()
        serving = self._authority.server(
            ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
            [LOOPBACK, SERVICE_ADDRESS],
        )
        files = {
            "ca.crt": self._authority.certificate,
            "server.crt": serving.certificate,
            "server.key": serving.key,
            "service-accounts.key": private_pem(service_accounts),
            "service-accounts.pub": public_pem(service_accounts),
        }
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            (self.folder / name).chmod(0o600)

    def _start_api(self) -> None:
        clients, peers = free_port(), free_port()
        etcd = f"http://{LOOPBACK}:{clients}"
        self._start(
            "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://{LOOPBACK}:{peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        self._start(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self._port}",
            f"--advertise-address={ADVERTISED}",
            f"--tls-cert-file={self.folder}/server.crt",
            f"--tls-private-key-file={self.folder}/server.key",
            f"--client-ca-file={self.folder}/ca.crt",
            f"--service-account-issuer={self.server}",
            f"--service-account-key-file={self.folder}/service-accounts.pub",
            f"--service-account-signing-key-file={self.folder}/service-accounts.key",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            # Without the controllers nothing makes the service accounts that pods are asked to have.
            *([] if self._with_controllers else ["--disable-admission-plugins=ServiceAccount"]),
            *self._extra_args,
        )

    def _start_controllers(self) -> None:
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig_for(*CONTROLLER_MANAGER)}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={free_port()}",
            f"--root-ca-file={self.folder}/ca.crt",
            f"--service-account-private-key-file={self.folder}/service-accounts.key",
            f"--controllers={','.join(CONTROLLERS)}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--concurrent-job-syncs=50",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
        )

    def _start(self, program: str, *arguments: str) -> None:
        with self.log(program).open("wb") as log:
            self._processes[program] = subprocess.Popen(
                [str(self._program), program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C reaches the tests first, which stop the rest in order
                preexec_fn=_die_with_parent,
            )

    def _wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            for program, process in self._processes.items():
                if process.poll() is not None:
                    raise shell.CommandError(
                        f"{program} ended with {process.returncode} before {what}:\n{shell.tail(self.log(program))}"
                    )
            if time.monotonic() > deadline:
                logs = "\n".join(f"{name}:\n{shell.tail(self.log(name))}" for name in self._processes)
                raise shell.CommandError(f"not within {READY_SECONDS:.0f} s: {what}. Logs:\n{logs}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        return self._get("/readyz") is not None

    def _has_service_account(self) -> bool:
        return self._get("/api/v1/namespaces/default/serviceaccounts/default") is not None

    def _get(self, path: str) -> bytes | None:
        try:
            context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
            context.load_cert_chain(*self._admin_files())
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(self.server + path, timeout=5) as response:
                return bytes(response.read())
        except OSError:
            return None

    def _admin_files(self) -> tuple[Path, Path]:
        certificate, key = self.folder / "admin.crt", self.folder / "admin.key"
        if not key.exists():
            pair = self._authority.client(*ADMIN)
            certificate.write_bytes(pair.certificate)
            key.write_bytes(pair.key)
            key.chmod(0o600)
        return certificate, key


def kubeconfig(server: str, authority: bytes, client: Pair) -> dict[str, object]:
    """A kubeconfig with everything inside, as kubectl and the client libraries read it (JSON is YAML)."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": encoded(authority)}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        "users": [
            {
                "name": "test",
                "user": {
                    "client-certificate-data": encoded(client.certificate),
                    "client-key-data": encoded(client.key),
                },
            }
        ],
    }


def _die_with_parent() -> None:
    """Have the kernel stop this process when the tests are killed and cannot stop it themselves (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A port of the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run a control plane in the foreground until Ctrl-C."""
    began = time.monotonic()
    with ControlPlane(controller_manager=True) as plane:
        print(f"# ready after {time.monotonic() - began:.1f} s; Ctrl-C ends it")
        print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
        with shell.interrupts_end_everything():
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                print("# stopping")


if __name__ == "__main__":
    main()
