"""What each attribute of a service means, in every form it can be written in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.compose.load import load_stack
from orchestrator.model.container import (
    Attachment,
    DeviceLimit,
    Healthcheck,
    Hook,
    Mount,
    PortBinding,
    Resources,
    RestartPolicy,
    Ulimit,
)
from orchestrator.model.stack import (
    Build,
    BuildSecret,
    Dependency,
    Rollout,
    Service,
    WatchRule,
)

ENVIRON = {"HOME": "/home/ann", "FROM_SHELL": "s"}
REST = (
    "  db: {image: b}\nnetworks: {front: {}}\nvolumes: {data: {}}\n"
    "secrets: {key: {environment: FROM_SHELL}}\n"
)


def service(body: str, directory: Path) -> Service:
    """The service "web" of a stack "demo" with this body, when nothing of it is warned of."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (directory / "stack.yml").write_text(f"services:\n  web:\n    image: a\n{lines}{REST}")
    loaded = load_stack([str(directory / "stack.yml")], project_name="demo", environ=ENVIRON)
    assert loaded.warnings == ()
    found = loaded.stack.service("web")
    assert found is not None
    return found


def bind(source: str, target: str, **rest: Any) -> Mount:
    return Mount(kind="bind", source=source, target=target, **{"create_host_path": True, **rest})


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ("command: sh -c 'a b' c\\ d", "command", ("sh", "-c", "a b", "c d")),
        ("command: [a, b c]", "command", ("a", "b c")),
        ("command: []", "command", ()),
        ("command:", "command", None),
        ("entrypoint: /init --x", "entrypoint", ("/init", "--x")),
        ("environment: {A: 1, B: 1.50, C: true, D: x}", "environment",
         {"A": "1", "B": "1.5", "C": "true", "D": "x"}),
        ("environment: [A=1, B=a=b, C=]", "environment", {"A": "1", "B": "a=b", "C": ""}),
        ("environment: [FROM_SHELL, NOWHERE]", "environment", {"FROM_SHELL": "s"}),
        ("environment: {FROM_SHELL: , NOWHERE: }", "environment", {"FROM_SHELL": "s"}),
        ("labels: {a.b: 1}", "labels", {"a.b": "1"}),
        ("labels: [a.b=1, c]", "labels", {"a.b": "1", "c": ""}),
        ("user: '1000:1000'", "user", "1000:1000"),
        ("working_dir: /srv", "working_dir", "/srv"),
        ("hostname: h\ndomainname: d", "hostname", "h"),
        ("tty: true", "tty", True),
        ("stdin_open: 'yes'", "stdin_open", True),
        ("init: true", "init", True),
        ("read_only: true", "read_only", True),
        ("privileged: true", "privileged", True),
        ("cap_add: [NET_ADMIN]", "cap_add", ("NET_ADMIN",)),
        ("cap_drop: [ALL]", "cap_drop", ("ALL",)),
        ("security_opt: [no-new-privileges:true]", "security_opt", ("no-new-privileges:true",)),
        ("group_add: [mail, 50]", "group_add", ("mail", "50")),
        ("devices: [/dev/fuse, '/dev/a:/dev/b:r']", "devices",
         ("/dev/fuse:/dev/fuse:rwm", "/dev/a:/dev/b:r")),
        ("devices: [{source: /dev/a, target: /dev/b}]", "devices", ("/dev/a:/dev/b:rwm",)),
        ("dns: 1.1.1.1", "dns", ("1.1.1.1",)),
        ("dns: [1.1.1.1, 8.8.8.8]", "dns", ("1.1.1.1", "8.8.8.8")),
        ("dns_search: example.org", "dns_search", ("example.org",)),
        ("dns_opt: [ndots:1]", "dns_opt", ("ndots:1",)),
        ("extra_hosts: [a:10.0.0.1, b=::1, 'c:[::2]']", "extra_hosts",
         ("a:10.0.0.1", "b:::1", "c:::2")),
        ("extra_hosts: {a: [10.0.0.1, 10.0.0.2]}", "extra_hosts", ("a:10.0.0.1", "a:10.0.0.2")),
        ("shm_size: 1g", "shm_size_bytes", 1 << 30),
        ("stop_signal: SIGINT", "stop_signal", "SIGINT"),
        ("stop_grace_period: 1m30s", "stop_grace_s", 90.0),
        ("sysctls: {net.core.somaxconn: 1024}", "sysctls", {"net.core.somaxconn": "1024"}),
        ("sysctls: [a=1]", "sysctls", {"a": "1"}),
        ("pid: host", "pid_mode", "host"),
        ("ipc: shareable", "ipc_mode", "shareable"),
        ("network_mode: none", "network_mode", "none"),
        ("network_mode: service:db", "network_mode", "service:db"),
        ("logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}", "log_options",
         {"max-size": "10m", "max-file": "3"}),
        ("expose: [80, 53/udp, '90-91']", "expose", ("80/tcp", "53/udp", "90/tcp", "91/tcp")),
        ("restart: always", "restart", RestartPolicy(name="always")),
        ("restart: no", "restart", RestartPolicy()),
        ("restart: 'on-failure:3'", "restart", RestartPolicy(name="on-failure", max_retries=3)),
        ("deploy: {restart_policy: {condition: any}}", "restart",
         RestartPolicy(name="always", unhealthy=True)),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 2, delay: 3s, "
         "window: 1m}}", "restart",
         RestartPolicy(name="on-failure", max_retries=2, delay_s=3.0, window_s=60.0,
                       unhealthy=True)),
        ("deploy: {restart_policy: {condition: none}}", "restart", RestartPolicy()),
        ("mem_limit: 64m\nmemswap_limit: -1\nmem_reservation: 32m\ncpus: 0.5\ncpu_shares: 512\n"
         "cpuset: 0-1\npids_limit: 100\nulimits: {nproc: 9, nofile: {soft: 1, hard: 2}}",
         "resources",
         Resources(memory_bytes=64 << 20, memory_swap_bytes=-1, memory_reservation_bytes=32 << 20,
                   nano_cpus=500_000_000, cpu_shares=512, cpuset_cpus="0-1", pids_limit=100,
                   ulimits=(Ulimit(name="nproc", soft=9, hard=9),
                            Ulimit(name="nofile", soft=1, hard=2)))),
        ("deploy:\n  resources:\n    limits: {cpus: '0.25', memory: 1G, pids: 5}\n"
         "    reservations: {memory: 512M}", "resources",
         Resources(nano_cpus=250_000_000, memory_bytes=1 << 30, pids_limit=5,
                   memory_reservation_bytes=512 << 20)),
        ("cpu_quota: 50000\ncpu_period: 100ms", "resources",
         Resources(cpu_quota_us=50_000, cpu_period_us=100_000)),
        ("cpu_rt_runtime: 400ms\ncpu_rt_period: 1400us\nmem_swappiness: 10\n"
         "oom_kill_disable: true", "resources",
         Resources(cpu_rt_runtime_us=400_000, cpu_rt_period_us=1400, memory_swappiness=10,
                   oom_kill_disable=True)),
        ("blkio_config:\n  weight: 300\n  weight_device: [{path: /dev/sda, weight: 400}]\n"
         "  device_read_bps: [{path: /dev/sda, rate: 12mb}]\n"
         "  device_write_iops: [{path: /dev/sda, rate: 30}]", "resources",
         Resources(blkio_weight=300,
                   blkio_weight_device=(DeviceLimit(path="/dev/sda", value=400),),
                   device_read_bps=(DeviceLimit(path="/dev/sda", value=12 << 20),),
                   device_write_iops=(DeviceLimit(path="/dev/sda", value=30),))),
        ("annotations: {a.b: c}", "annotations", {"a.b": "c"}),
        ("cgroup: private", "cgroupns_mode", "private"),
        ("cgroup_parent: m", "cgroup_parent", "m"),
        ("device_cgroup_rules: ['c 1:3 mr']", "device_cgroup_rules", ("c 1:3 mr",)),
        ("oom_score_adj: -5", "oom_score_adj", -5),
        ("platform: linux/arm64", "platform", "linux/arm64"),
        ("runtime: crun", "runtime", "crun"),
        ("storage_opt: {size: 1G}", "storage_options", {"size": "1G"}),
        ("use_api_socket: true", "use_api_socket", True),
        ("userns_mode: host", "userns_mode", "host"),
        ("uts: host", "uts_mode", "host"),
        ("volumes_from: [db, 'db:ro', 'container:x:ro']", "volumes_from",
         ("db", "db:ro", "container:x:ro")),
        ("post_start: [{command: [a, b], user: u, working_dir: /w, privileged: true, "
         "environment: [A=1]}]", "post_start",
         (Hook(command=("a", "b"), user="u", working_dir="/w", privileged=True,
               environment={"A": "1"}),)),
        ("pre_stop: [{command: a b}]", "pre_stop", (Hook(command=("a", "b")),)),
        ("ports: ['80']", "ports", (PortBinding(container_port=80),)),
        ("ports: [80]", "ports", (PortBinding(container_port=80),)),
        ("ports: ['8080:80/udp']", "ports",
         (PortBinding(container_port=80, host_port=8080, protocol="udp"),)),
        ("ports: [22:22]", "ports", (PortBinding(container_port=22, host_port=22),)),
        ("ports: ['127.0.0.1:8080:80']", "ports",
         (PortBinding(container_port=80, host_port=8080, host_ip="127.0.0.1"),)),
        ("ports: ['127.0.0.1::80']", "ports",
         (PortBinding(container_port=80, host_ip="127.0.0.1"),)),
        ("ports: ['[::1]:8080:80']", "ports",
         (PortBinding(container_port=80, host_port=8080, host_ip="::1"),)),
        ("ports: ['9000-9001:80-81']", "ports",
         (PortBinding(container_port=80, host_port=9000),
          PortBinding(container_port=81, host_port=9001))),
        ("ports: ['80-81']", "ports",
         (PortBinding(container_port=80), PortBinding(container_port=81))),
        ("ports: ['8000-8010:80']", "ports",
         (PortBinding(container_port=80, host_port=8000, host_port_last=8010),)),
        ("ports: [{target: 80, published: '8080', host_ip: 10.0.0.1, protocol: udp, mode: host}]",
         "ports",
         (PortBinding(container_port=80, host_port=8080, host_ip="10.0.0.1", protocol="udp"),)),
        ("volumes: [data:/d]", "mounts", (Mount(kind="volume", source="demo_data", target="/d"),)),
        ("volumes: ['data:/d:ro,nocopy']", "mounts",
         (Mount(kind="volume", source="demo_data", target="/d", read_only=True, nocopy=True),)),
        ("volumes: [/anon]", "mounts", (Mount(kind="volume", target="/anon"),)),
        ("volumes: [/a/../b:/d:ro]", "mounts", (bind("/b", "/d", read_only=True),)),
        ("volumes: ['~/x:/d:rshared']", "mounts",
         (bind("/home/ann/x", "/d", propagation="rshared"),)),
        ("volumes: [{type: bind, source: /a, target: /d, bind: {create_host_path: false}}]",
         "mounts", (bind("/a", "/d", create_host_path=False),)),
        ("volumes: [{type: volume, source: data, target: /d, volume: {subpath: s}}]", "mounts",
         (Mount(kind="volume", source="demo_data", target="/d", subpath="s"),)),
        ("volumes: [{type: tmpfs, target: /d, tmpfs: {size: 64m, mode: 01777}}]", "mounts",
         (Mount(kind="tmpfs", target="/d", tmpfs_size_bytes=64 << 20, tmpfs_mode=0o1777),)),
        ("tmpfs: /run", "mounts", (Mount(kind="tmpfs", target="/run"),)),
        ("tmpfs: ['/run:size=1m,mode=755,noexec,uid=5']", "mounts",
         (Mount(kind="tmpfs", target="/run", tmpfs_size_bytes=1 << 20, tmpfs_mode=0o755,
                tmpfs_options=("noexec", "uid=5")),)),
        ("volumes: [{type: image, source: 'a:1', target: /d, image: {subpath: s}}]", "mounts",
         (Mount(kind="image", source="a:1", target="/d", subpath="s", read_only=True),)),
        ("volumes: [{type: bind, source: /a, target: /d, bind: {recursive: disabled}}]", "mounts",
         (bind("/a", "/d", recursive="disabled"),)),
        ("volumes: [{type: volume, target: /d, volume: {labels: {a: b}}}]", "mounts",
         (Mount(kind="volume", target="/d", volume_labels={"a": "b"}),)),
        ("healthcheck: {test: curl x, interval: 5s, timeout: 2s, retries: 9, start_period: 1m, "
         "start_interval: 1s}", "healthcheck",
         Healthcheck(test=("CMD-SHELL", "curl x"), interval_s=5.0, timeout_s=2.0, retries=9,
                     start_period_s=60.0, start_interval_s=1.0)),
        ("healthcheck: {test: [CMD, a, b]}", "healthcheck", Healthcheck(test=("CMD", "a", "b"))),
        ("healthcheck: {disable: true}", "healthcheck", Healthcheck(test=("NONE",))),
        ("healthcheck: {test: [NONE]}", "healthcheck", Healthcheck(test=("NONE",))),
        ("", "attachments", (Attachment(network="demo_default", aliases=("web",)),)),
        ("network_mode: host", "attachments", ()),
        ("networks: [front, default]", "attachments",
         (Attachment(network="demo_default", aliases=("web",)),
          Attachment(network="demo_front", aliases=("web",)))),
        ("networks:\n  front:\n  default: {aliases: [www, web], ipv4_address: 10.1.0.2, "
         "mac_address: '02:42:ac:11:00:02', priority: 10}", "attachments",
         (Attachment(network="demo_default", aliases=("web", "www"), ipv4_address="10.1.0.2",
                     mac_address="02:42:ac:11:00:02", priority=10),
          Attachment(network="demo_front", aliases=("web",)))),
        ("networks:\n  default: {gw_priority: 1, interface_name: lan0, link_local_ips: "
         "[169.254.8.8], driver_opts: {a: b}}", "attachments",
         (Attachment(network="demo_default", aliases=("web",), gw_priority=1,
                     interface_name="lan0", link_local_ips=("169.254.8.8",),
                     driver_opts={"a": "b"}),)),
        ("links: [db, 'db:base']\nexternal_links: ['old:cache']", "attachments",
         (Attachment(network="demo_default", aliases=("web",),
                     links=("service:db:db", "service:db:base", "old:cache")),)),
        ("mac_address: '02:42:ac:11:00:03'", "attachments",
         (Attachment(network="demo_default", aliases=("web",), mac_address="02:42:ac:11:00:03"),)),
    ],
)  # fmt: skip
def test_an_attribute_of_the_container(
    body: str, field: str, value: object, tmp_path: Path
) -> None:
    assert getattr(service(body, tmp_path).container, field) == value


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ("depends_on: [db]", "depends_on", (Dependency(service="db"),)),
        ("depends_on:\n  db: {condition: service_healthy, restart: true}", "depends_on",
         (Dependency(service="db", condition="service_healthy", restart=True),)),
        ("depends_on:\n  gone: {condition: service_started, required: false}", "depends_on", ()),
        ("links: [db]", "depends_on", (Dependency(service="db", restart=True),)),
        ("network_mode: service:db", "depends_on", (Dependency(service="db", restart=True),)),
        ("scale: 3", "scale", 3),
        ("deploy: {replicas: 0}", "scale", 0),
        ("container_name: one", "container_name", "one"),
        ("pull_policy: if_not_present", "pull_policy", "missing"),
        ("pull_policy: always", "pull_policy", "always"),
        ("pull_policy: daily", "pull_policy", "missing"),
        ("pull_policy: missing", "pull_after_s", 0.0),
        ("pull_policy: daily", "pull_after_s", 86400.0),
        ("pull_policy: weekly", "pull_after_s", 604800.0),
        ("pull_policy: every_1d12h30m5s", "pull_after_s", 131405.0),
        ("pull_policy: refresh\npull_refresh_after: 12h", "pull_after_s", 43200.0),
        ("volumes_from: [db]", "depends_on", (Dependency(service="db"),)),
        ("attach: false", "attach", False),
        ("deploy: {update_config: {parallelism: 2, delay: 10s, order: start-first, "
         "failure_action: rollback, monitor: 1m, max_failure_ratio: 0.5}}", "update",
         Rollout(parallelism=2, delay_s=10.0, order="start-first", failure_action="rollback",
                 monitor_s=60.0, max_failure_ratio=0.5)),
        ("deploy: {rollback_config: {parallelism: 0}}", "rollback", Rollout(parallelism=0)),
        ("develop: {watch: [{path: /s, action: sync+exec, target: /t, ignore: [a], "
         "exec: {command: make}}]}", "watch",
         (WatchRule(path="/s", action="sync+exec", target="/t", ignore=("a",),
                    exec=Hook(command=("make",))),)),
    ],
)  # fmt: skip
def test_an_attribute_of_the_service(body: str, field: str, value: object, tmp_path: Path) -> None:
    assert getattr(service(body, tmp_path), field) == value


def test_a_build_in_short_form_is_a_directory(tmp_path: Path) -> None:
    assert service("build: ./app", tmp_path).build == Build(context=str(tmp_path / "app"))


def test_a_build_of_a_repository_keeps_its_url(tmp_path: Path) -> None:
    url = "https://example.org/x.git#main:sub"
    assert service(f"build: {url}", tmp_path).build == Build(context=url)


def test_a_build_in_long_form(tmp_path: Path) -> None:
    body = (
        "build:\n  context: .\n  dockerfile: d/Dockerfile\n  target: t\n  args: [A=1, FROM_SHELL]\n"
        "  labels: {l: 1}\n  tags: [x:1]\n  no_cache: true\n  pull: true\n  network: host\n"
        "  extra_hosts: {h: 10.0.0.1}\n  shm_size: 128m"
    )
    assert service(body, tmp_path).build == Build(
        context=str(tmp_path),
        dockerfile="d/Dockerfile",
        target="t",
        args={"A": "1", "FROM_SHELL": "s"},
        labels={"l": "1"},
        tags=("x:1",),
        no_cache=True,
        pull=True,
        network="host",
        extra_hosts=("h:10.0.0.1",),
        shm_size_bytes=128 << 20,
    )


def test_the_rest_of_a_build_in_long_form(tmp_path: Path) -> None:
    body = (
        "build:\n  context: .\n  additional_contexts: {other: ../x, base: 'docker-image://a:1'}\n"
        "  cache_from: [a:1]\n  cache_to: ['type=local,dest=c']\n  platforms: [linux/arm64]\n"
        "  secrets: [key]\n  ssh: [default]\n  ulimits: {nofile: 9}\n"
        "  entitlements: [security.insecure]"
    )
    assert service(body, tmp_path).build == Build(
        context=str(tmp_path),
        contexts={"other": str(tmp_path.parent / "x"), "base": "docker-image://a:1"},
        cache_from=("a:1",),
        cache_to=("type=local,dest=c",),
        platforms=("linux/arm64",),
        secrets=(BuildSecret(id="key", value="s"),),
        ssh={"default": ""},
        ulimits=(Ulimit(name="nofile", soft=9, hard=9),),
        entitlements=("security.insecure",),
    )


def test_files_of_variables_come_first_and_the_later_wins(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\nB=1\nC=$A\n")
    (tmp_path / "b.env").write_text("B='2'\n")
    body = (
        "env_file:\n  - a.env\n  - {path: b.env, format: raw}\n"
        "  - {path: none.env, required: false}\nenvironment: {D: 4, A: 3}"
    )
    assert service(body, tmp_path).container.environment == {
        "A": "3", "B": "'2'", "C": "1", "D": "4",
    }  # fmt: skip


def test_a_label_file_comes_before_labels(tmp_path: Path) -> None:
    (tmp_path / "l").write_text("a=1\nb=1\n")
    container = service("label_file: l\nlabels: {b: 2}", tmp_path).container
    assert container.labels == {"a": "1", "b": "2"}
