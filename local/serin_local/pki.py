"""Certificates of the cluster, made by openssl: one authority, one certificate for each component."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess

from . import errors, plan

STEP = "certificates"
DAYS = "3650"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One certificate: its file name, its subject, and the names it is valid for."""

    name: str
    subject: str
    alternatives: str


CERTIFICATES = (
    Certificate(
        "apiserver",
        "/CN=kube-apiserver",
        "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        f"DNS:kubernetes.default.svc.{plan.DNS_DOMAIN},IP:127.0.0.1,IP:{plan.KUBERNETES_ADDRESS},IP:{plan.NODE_ADDRESS}",
    ),
    Certificate("admin", "/O=system:masters/CN=admin", "DNS:admin"),
    Certificate(
        "node", f"/O=system:nodes/CN=system:node:{plan.NODE}", f"DNS:{plan.NODE},IP:127.0.0.1,IP:{plan.NODE_ADDRESS}"
    ),
    Certificate("controller-manager", "/CN=system:kube-controller-manager", "DNS:controller-manager"),
    Certificate("scheduler", "/CN=system:kube-scheduler", "DNS:scheduler"),
    Certificate("proxy", "/CN=system:kube-proxy", "DNS:proxy"),
)


def ensure(folder: pathlib.Path) -> None:
    """Make every certificate unless all are there. Raises `ClusterError` when openssl fails."""
    done = folder / "complete"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _openssl(
        folder, "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", DAYS, "-subj", "/CN=serin"
    )
    _openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
    _openssl(folder, "ec", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    for certificate in CERTIFICATES:
        _issue(folder, certificate)
    done.touch()


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _issue(folder: pathlib.Path, certificate: Certificate) -> None:
    name = certificate.name
    extensions = f"subjectAltName={certificate.alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n"
    (folder / f"{name}.ext").write_text(extensions)
    key, request = f"{name}.key", f"{name}.csr"
    _openssl(folder, "req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", certificate.subject)
    authority = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(
        folder,
        "x509",
        "-req",
        "-in",
        request,
        *authority,
        "-days",
        DAYS,
        "-out",
        f"{name}.crt",
        "-extfile",
        f"{name}.ext",
    )


def _openssl(folder: pathlib.Path, *argv: str) -> None:
    # The key files are for root alone, whatever the caller's mask allows.
    done = subprocess.run(
        ["openssl", *argv], cwd=folder, capture_output=True, text=True, umask=0o077, env=dict(os.environ), check=False
    )
    if done.returncode:
        raise errors.ClusterError(
            STEP,
            f"`openssl {' '.join(argv)}` ended with {done.returncode}: {done.stderr.strip()}",
            f"remove {folder} and try again; openssl 3 is expected (`openssl version`)",
        )
