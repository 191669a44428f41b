"""Stack files that are wrong, each with every line that is said of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broken:
    """A file's text and the problems found in it, as users see them."""

    name: str
    text: str
    problems: tuple[str, ...]


BROKEN = (
    Broken(
        "an empty file",
        "",
        ('stack.yml:1:1: the file is empty; a stack needs "services"',),
    ),
    Broken(
        "a list at the top",
        "- a\n",
        ("stack.yml:1:1: expected a mapping with services, got a list",),
    ),
    Broken(
        "broken yaml",
        "services:\n  web: [unclosed\n",
        (
            "stack.yml:3:1: not YAML: did not find expected ',' or ']', while parsing a "
            "flow sequence",
        ),
    ),
    Broken(
        "a tab as indentation",
        "services:\n\tweb: {}\n",
        (
            "stack.yml:2:1: not YAML: found character that cannot start any token, while "
            "scanning for the next token",
        ),
    ),
    Broken(
        "a duplicate key",
        "services:\n  web:\n    image: a\n    image: b\n",
        ("stack.yml:4:5: services.web.image: the key is given twice, first on line 3; keep one",),
    ),
    Broken(
        "a duplicate service",
        "services:\n  web:\n    image: a\n  web:\n    image: b\n",
        ("stack.yml:4:3: services.web: the key is given twice, first on line 2; keep one",),
    ),
    Broken(
        "an undefined alias",
        "services:\n  web:\n    image: a\n    user: *nobody\n",
        ("stack.yml:4:11: not YAML: found undefined alias",),
    ),
    Broken(
        "an alias in itself",
        "services:\n  web:\n    image: a\n    labels: &l {a: *l}\n",
        ("stack.yml:4:13: services.web.labels.a: an alias contains itself",),
    ),
    Broken(
        "a merge of a list",
        "services:\n  web:\n    image: a\n    labels:\n      <<: 3\n",
        ("stack.yml:5:11: services.web.labels.<<: expected a mapping to merge, got the number 3",),
    ),
    Broken(
        "a key that is a list",
        "services:\n  web:\n    image: a\n    labels:\n      ? [a]\n      : b\n",
        ("stack.yml:5:9: services.web.labels: a key must be a string",),
    ),
    Broken(
        "an unknown key at the top",
        "services:\n  web:\n    image: a\nservice:\n  db: {image: b}\n",
        ('stack.yml:4:1: service: unknown key "service"; did you mean "services"?',),
    ),
    Broken(
        "an unknown key of a service",
        "services:\n  web:\n    imagee: a\n",
        ('stack.yml:3:5: services.web.imagee: unknown key "imagee"; did you mean "image"?',),
    ),
    Broken(
        "an unknown key far from any",
        "services:\n  web:\n    image: a\n    frobnicate: 1\n",
        ('stack.yml:4:5: services.web.frobnicate: unknown key "frobnicate"',),
    ),
    Broken(
        "an unknown key deep down",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    healthcheck:\n"
        "      test: [CMD, x]\n"
        "      intervall: 3s\n",
        (
            'stack.yml:6:7: services.web.healthcheck.intervall: unknown key "intervall"; '
            'did you mean "interval"?',
        ),
    ),
    Broken(
        "services that are a list",
        "services:\n  - image: a\n",
        ("stack.yml:2:3: services: expected a mapping, got a list",),
    ),
    Broken(
        "a service that is a string",
        "services:\n  web: a\n",
        ('stack.yml:2:8: services.web: expected a mapping, got the string "a"',),
    ),
    Broken(
        "a service of nothing",
        "services:\n  web:\n",
        (
            "stack.yml:2:7: services.web: expected a mapping, got nothing; give it a value "
            "or remove the key",
        ),
    ),
    Broken(
        "a service name with a space",
        "services:\n  my web: {image: a}\n",
        ('stack.yml:2:3: services.my web: "my web" is not a name; use letters, digits, . _ and -',),
    ),
    Broken(
        "an image that is a number",
        "services:\n  web:\n    image: 8\n",
        (
            "stack.yml:3:12: services.web.image: expected a string, got the number 8; put "
            'it in quotes: "8"',
        ),
    ),
    Broken(
        "a list for a flag",
        "services:\n  web:\n    image: a\n    tty: [true]\n",
        ("stack.yml:4:10: services.web.tty: expected true or false, got a list",),
    ),
    Broken(
        "a word for a flag",
        "services:\n  web:\n    image: a\n    privileged: maybe\n",
        (
            "stack.yml:4:17: services.web.privileged: expected true or false, got the "
            'string "maybe"',
        ),
    ),
    Broken(
        "nothing for a list",
        "services:\n  web:\n    image: a\n    ports:\n",
        (
            "stack.yml:4:11: services.web.ports: expected a list, got nothing; give it a "
            "value or remove the key",
        ),
    ),
    Broken(
        "a mapping for a list",
        "services:\n  web:\n    image: a\n    cap_add: {NET_ADMIN: 1}\n",
        ("stack.yml:4:14: services.web.cap_add: expected a list, got a mapping",),
    ),
    Broken(
        "a number in a command",
        "services:\n  web:\n    image: a\n    command: [sleep, 10]\n",
        (
            "stack.yml:4:22: services.web.command[1]: expected a string, got the number "
            '10; put it in quotes: "10"',
        ),
    ),
    Broken(
        "an open quote in a command",
        "services:\n  web:\n    image: a\n    command: echo 'hi\n",
        (
            "stack.yml:4:14: services.web.command: cannot be split into words: no closing "
            "quotation; balance the quotes",
        ),
    ),
    Broken(
        "a word listed twice",
        "services:\n  web:\n    image: a\n    security_opt: [label=disable, label=disable]\n",
        (
            'stack.yml:4:35: services.web.security_opt[1]: the string "label=disable" is '
            "listed twice; keep one",
        ),
    ),
    Broken(
        "a size without sense",
        "services:\n  web:\n    image: a\n    mem_limit: 12 parsecs\n",
        (
            'stack.yml:4:16: services.web.mem_limit: expected a size such as "512m", got '
            'the string "12 parsecs"; write a number of bytes, or one with k, m, g, t: '
            "512m",
        ),
    ),
    Broken(
        "a duration without a unit",
        "services:\n  web:\n    image: a\n    stop_grace_period: 10\n",
        (
            "stack.yml:4:24: services.web.stop_grace_period: expected a duration such as "
            '"1m30s", got the number 10; give it a unit: "10s"',
        ),
    ),
    Broken(
        "a duration without sense",
        "services:\n  web:\n    image: a\n    stop_grace_period: soon\n",
        (
            "stack.yml:4:24: services.web.stop_grace_period: expected a duration such as "
            '"1m30s", got the string "soon"; write a number with us, ms, s, m or h: '
            "1m30s",
        ),
    ),
    Broken(
        "cpus without sense",
        "services:\n  web:\n    image: a\n    cpus: many\n",
        (
            "stack.yml:4:11: services.web.cpus: expected a number of CPUs such as 0.5, got "
            'the string "many"; write a number such as 0.5 or 2',
        ),
    ),
    Broken(
        "a negative scale",
        "services:\n  web:\n    image: a\n    scale: -1\n",
        (
            "stack.yml:4:12: services.web.scale: expected a whole number, 0 or more, got "
            "the number -1",
        ),
    ),
    Broken(
        "a scale that is a fraction",
        "services:\n  web:\n    image: a\n    scale: 1.5\n",
        (
            "stack.yml:4:12: services.web.scale: expected a whole number, 0 or more, got "
            "the number 1.5",
        ),
    ),
    Broken(
        "an unknown restart policy",
        "services:\n  web:\n    image: a\n    restart: allways\n",
        (
            "stack.yml:4:14: services.web.restart: expected a restart policy, got the "
            'string "allways"; one of no, always, on-failure[:N], unless-stopped',
        ),
    ),
    Broken(
        "an unknown pull policy",
        "services:\n  web:\n    image: a\n    pull_policy: often\n",
        (
            "stack.yml:4:18: services.web.pull_policy: expected a pull policy, got the "
            'string "often"; such as always, missing, never or build',
        ),
    ),
    Broken(
        "an unknown condition",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    depends_on:\n"
        "      db: {condition: healthy}\n"
        "  db: {image: b}\n",
        (
            "stack.yml:5:23: services.web.depends_on.db.condition: expected "
            "service_started, service_healthy or service_completed_successfully, got the "
            'string "healthy"; did you mean "service_healthy"?',
        ),
    ),
    Broken(
        "a dependency without condition",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    depends_on:\n"
        "      db: {restart: true}\n"
        "  db: {image: b}\n",
        ('stack.yml:5:11: services.web.depends_on.db: the key "condition" is missing',),
    ),
    Broken(
        "a port that is a word",
        "services:\n  web:\n    image: a\n    ports: [http]\n",
        (
            'stack.yml:4:13: services.web.ports[0]: "http" is not a port; write '
            "[[IP:]HOST:]CONTAINER[/PROTOCOL]",
        ),
    ),
    Broken(
        "a port out of range",
        'services:\n  web:\n    image: a\n    ports: ["8080:99999"]\n',
        ('stack.yml:4:13: services.web.ports[0]: "99999" is not from 1 to 65535',),
    ),
    Broken(
        "a port range backwards",
        'services:\n  web:\n    image: a\n    ports: ["90-80"]\n',
        ('stack.yml:4:13: services.web.ports[0]: "90-80" runs backwards',),
    ),
    Broken(
        "port ranges that differ",
        'services:\n  web:\n    image: a\n    ports: ["8000-8002:80-81"]\n',
        (
            "stack.yml:4:13: services.web.ports[0]: the host ports 8000-8002 and the "
            "container ports 80-81 differ in number",
        ),
    ),
    Broken(
        "an unknown protocol",
        'services:\n  web:\n    image: a\n    ports: ["53:53/icmp"]\n',
        (
            'stack.yml:4:13: services.web.ports[0]: unknown protocol "icmp"; expected '
            "tcp, udp or sctp",
        ),
    ),
    Broken(
        "a host address that is a name",
        'services:\n  web:\n    image: a\n    ports: ["localhost:80:80"]\n',
        ('stack.yml:4:13: services.web.ports[0]: "localhost" is not an address',),
    ),
    Broken(
        "a long port without target",
        "services:\n  web:\n    image: a\n    ports:\n      - published: 80\n",
        ('stack.yml:5:9: services.web.ports[0]: the key "target" is missing',),
    ),
    Broken(
        "a published port of letters",
        "services:\n  web:\n    image: a\n    ports:\n      - {target: 80, published: web}\n",
        (
            "stack.yml:5:33: services.web.ports[0].published: expected a port or a range "
            'of ports, got the string "web"',
        ),
    ),
    Broken(
        "an empty volume part",
        'services:\n  web:\n    image: a\n    volumes: ["data:"]\n',
        (
            'stack.yml:4:15: services.web.volumes[0]: "data:" is not a volume; write '
            "[SOURCE:]TARGET[:OPTIONS]",
        ),
    ),
    Broken(
        "too many volume parts",
        'services:\n  web:\n    image: a\n    volumes: ["a:/b:ro:x"]\n',
        (
            'stack.yml:4:15: services.web.volumes[0]: "a:/b:ro:x" is not a volume; write '
            "[SOURCE:]TARGET[:OPTIONS]",
        ),
    ),
    Broken(
        "a mount without a type",
        "services:\n  web:\n    image: a\n    volumes:\n      - {source: /a, target: /b}\n",
        ('stack.yml:5:9: services.web.volumes[0]: the key "type" is missing',),
    ),
    Broken(
        "a mount without a target",
        "services:\n  web:\n    image: a\n    volumes:\n      - {type: bind, source: /a}\n",
        ('stack.yml:5:9: services.web.volumes[0]: the key "target" is missing',),
    ),
    Broken(
        "a bind mount without a source",
        "services:\n  web:\n    image: a\n    volumes:\n      - {type: bind, target: /b}\n",
        ("stack.yml:5:9: services.web.volumes[0]: a bind mount needs a source",),
    ),
    Broken(
        "an unknown mount type",
        "services:\n  web:\n    image: a\n    volumes:\n      - {type: nfs, target: /b}\n",
        (
            "stack.yml:5:16: services.web.volumes[0].type: expected bind, volume, tmpfs, "
            'image, npipe or cluster, got the string "nfs"',
        ),
    ),
    Broken(
        "an undefined volume",
        "services:\n  web:\n    image: a\n    volumes: [dta:/d]\nvolumes:\n  data:\n",
        (
            'stack.yml:4:15: services.web.volumes[0]: there is no volume "dta"; did you '
            'mean "data"?',
        ),
    ),
    Broken(
        "an undefined network",
        "services:\n  web:\n    image: a\n    networks: [front]\n",
        (
            'stack.yml:4:16: services.web.networks.front: there is no network "front"; '
            'declare it under "networks" at the top',
        ),
    ),
    Broken(
        "a fixed address that is none",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    networks:\n"
        "      default: {ipv4_address: 10.0.0.300}\n",
        (
            "stack.yml:5:31: services.web.networks.default.ipv4_address: expected an IPv4 "
            'address, got the string "10.0.0.300"',
        ),
    ),
    Broken(
        "a subnet that is none",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "networks:\n"
        "  default:\n"
        "    ipam:\n"
        "      config: [{subnet: 10.0.0.0/40}]\n",
        (
            "stack.yml:7:25: networks.default.ipam.config[0].subnet: expected a subnet "
            'such as 10.5.0.0/16, got the string "10.0.0.0/40"',
        ),
    ),
    Broken(
        "networks with network_mode",
        "services:\n  web:\n    image: a\n    networks: [default]\n    network_mode: host\n",
        ("stack.yml:5:5: services.web.network_mode: cannot be combined with networks; keep one",),
    ),
    Broken(
        "an unknown network mode",
        "services:\n  web:\n    image: a\n    network_mode: Host!\n",
        (
            "stack.yml:4:19: services.web.network_mode: expected none, host, bridge, "
            'service:NAME or a network\'s name, got the string "Host!"',
        ),
    ),
    Broken(
        "an undefined dependency",
        "services:\n  web:\n    image: a\n    depends_on: [dbb]\n  db: {image: b}\n",
        (
            'stack.yml:4:18: services.web.depends_on.dbb: there is no service "dbb"; did '
            'you mean "db"?',
        ),
    ),
    Broken(
        "a dependency on itself",
        "services:\n  web:\n    image: a\n    depends_on: [web]\n",
        ("stack.yml:4:18: services.web.depends_on.web: a service cannot depend on itself",),
    ),
    Broken(
        "a cycle of dependencies",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    depends_on: [b]\n"
        "  b: {image: b, depends_on: [c]}\n"
        "  c: {image: c, network_mode: service:web}\n",
        (
            "stack.yml:4:18: services.web.depends_on: services depend on each other: web "
            "-> b -> c -> web; remove one of these dependencies",
        ),
    ),
    Broken(
        "a namespace of nobody",
        "services:\n  web:\n    image: a\n    network_mode: service:vpn\n",
        ('stack.yml:4:5: services.web.network_mode: there is no service "vpn"',),
    ),
    Broken(
        "a dependency that takes no part",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    depends_on: [debug]\n"
        "  debug: {image: b, profiles: [dev]}\n",
        (
            'stack.yml:4:18: services.web.depends_on.debug: the service "debug" takes no '
            "part, as none of its profiles is active; activate dev, or say required: false",
        ),
    ),
    Broken(
        "no image and no build",
        "services:\n  web:\n    command: sh\n",
        ('stack.yml:2:3: services.web: has neither an image nor a build; add "image" or "build"',),
    ),
    Broken(
        "a test that starts wrongly",
        "services:\n  web:\n    image: a\n    healthcheck: {test: [curl, -f, x]}\n",
        (
            "stack.yml:4:26: services.web.healthcheck.test: starts with the string "
            '"curl"; a list starts with NONE, CMD or CMD-SHELL',
        ),
    ),
    Broken(
        "a ulimit with one end",
        "services:\n  web:\n    image: a\n    ulimits:\n      nofile: {soft: 1}\n",
        ('stack.yml:5:15: services.web.ulimits.nofile: the key "hard" is missing',),
    ),
    Broken(
        "an extra host without address",
        "services:\n  web:\n    image: a\n    extra_hosts: [alone]\n",
        (
            "stack.yml:4:19: services.web.extra_hosts[0]: expected NAME=ADDRESS, got the "
            'string "alone"',
        ),
    ),
    Broken(
        "two scales",
        "services:\n  web:\n    image: a\n    scale: 2\n    deploy: {replicas: 3}\n",
        ("stack.yml:4:5: services.web.scale: differs from deploy.replicas; keep one",),
    ),
    Broken(
        "two memory limits",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    mem_limit: 1g\n"
        "    deploy: {resources: {limits: {memory: 2g}}}\n",
        (
            "stack.yml:4:5: services.web.mem_limit: differs from "
            "deploy.resources.limits.memory; keep one",
        ),
    ),
    Broken(
        "a name for many containers",
        "services:\n  web:\n    image: a\n    container_name: one\n    scale: 2\n",
        (
            "stack.yml:4:5: services.web.container_name: 2 containers cannot have one "
            "name; remove container_name or the scale",
        ),
    ),
    Broken(
        "a name of two services",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    container_name: one\n"
        "  db: {image: b, container_name: one}\n",
        ('stack.yml:5:18: services.db.container_name: "one" is the name of web already',),
    ),
    Broken(
        "an external volume with a driver",
        "services:\n  web:\n    image: a\nvolumes:\n  data: {external: true, driver: local}\n",
        (
            "stack.yml:5:26: volumes.data.driver: has no meaning for what is external; "
            "remove it, or remove external",
        ),
    ),
    Broken(
        "an undefined secret",
        "services:\n  web:\n    image: a\n    secrets: [key]\n",
        (
            'stack.yml:4:15: services.web.secrets[0]: there is no secret "key"; declare '
            'it under "secrets" at the top',
        ),
    ),
    Broken(
        "a secret from nowhere",
        "services:\n  web:\n    image: a\nsecrets:\n  key: {name: k}\n",
        ("stack.yml:5:3: secrets.key: needs one of file, environment",),
    ),
    Broken(
        "a missing env_file",
        "services:\n  web:\n    image: a\n    env_file: no.env\n",
        (
            "stack.yml:4:15: services.web.env_file[0]: there is no file no.env; make it, "
            "or say required: false",
        ),
    ),
    Broken(
        "an open brace",
        "services:\n  web:\n    image: a\n    user: ${USER\n",
        ("stack.yml:4:11: services.web.user: ${ is not closed by a }; write $$ for a plain $",),
    ),
    Broken(
        "a variable without a name",
        "services:\n  web:\n    image: a\n    user: ${}\n",
        ("stack.yml:4:11: services.web.user: ${} does not start with a variable's name",),
    ),
    Broken(
        "a variable with a strange operator",
        "services:\n  web:\n    image: a\n    user: ${A*b}\n",
        (
            "stack.yml:4:11: services.web.user: ${A*b} is not a variable; after the name "
            "come :-, -, :?, ?, :+ or +",
        ),
    ),
    Broken(
        "a required variable",
        "services:\n  web:\n    image: a\n    user: ${WHO:?say who}\n",
        (
            "stack.yml:4:11: services.web.user: the variable WHO is required: say who; set "
            "WHO in the environment or in .env",
        ),
    ),
    Broken(
        "extends of nobody",
        "services:\n  web:\n    image: a\n    extends: bass\n  base: {image: b}\n",
        (
            'stack.yml:4:14: services.web.extends: there is no service "bass" in '
            'stack.yml; did you mean "base"?',
        ),
    ),
    Broken(
        "extends without a service",
        "services:\n  web:\n    image: a\n    extends: {file: stack.yml}\n",
        ('stack.yml:4:14: services.web.extends: the key "service" is missing',),
    ),
    Broken(
        "extends in a circle",
        "services:\n  web:\n    image: a\n    extends: b\n  b: {extends: web}\n",
        ("stack.yml:4:14: services.web.extends: services extend each other: b -> web -> b",),
    ),
    Broken(
        "extends of a missing file",
        "services:\n  web:\n    image: a\n    extends: {file: other.yml, service: b}\n",
        ("stack.yml:4:21: services.web.extends.file: there is no file other.yml",),
    ),
    Broken(
        "include of a missing file",
        "services:\n  web:\n    image: a\ninclude: [other.yml]\n",
        ("stack.yml:4:11: include[0]: there is no file other.yml",),
    ),
    Broken(
        "include of itself",
        "services:\n  web:\n    image: a\ninclude: [stack.yml]\n",
        ("stack.yml:4:11: include[0]: files include each other: stack.yml -> stack.yml",),
    ),
    Broken(
        "include without a path",
        "services:\n  web:\n    image: a\ninclude: [{env_file: a.env}]\n",
        ('stack.yml:4:11: include[0]: the key "path" is missing',),
    ),
    Broken(
        "a bad project name",
        "name: '***'\nservices:\n  web:\n    image: a\n",
        (
            'stack.yml:1:7: name: "***" is not a project name; use small letters, '
            "digits, - and _, a letter or digit first",
        ),
    ),
    Broken(
        "a mode that is no mode",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    volumes:\n"
        "      - {type: tmpfs, target: /t, tmpfs: {mode: rwx}}\n",
        (
            "stack.yml:5:49: services.web.volumes[0].tmpfs.mode: expected file "
            'permissions, got the string "rwx"; write them in octal: 0440',
        ),
    ),
    Broken(
        "an environment of numbers",
        "services:\n  web:\n    image: a\n    environment: [1]\n",
        ("stack.yml:4:19: services.web.environment[0]: expected a string, got the number 1",),
    ),
    Broken(
        "an environment that is a string",
        "services:\n  web:\n    image: a\n    environment: A=b\n",
        (
            "stack.yml:4:18: services.web.environment: expected a mapping or a list of "
            'NAME=VALUE, got the string "A=b"',
        ),
    ),
    Broken(
        "a label that is a list",
        "services:\n  web:\n    image: a\n    labels: {a: [b]}\n",
        ("stack.yml:4:17: services.web.labels.a: expected a string or a number, got a list",),
    ),
    Broken(
        "a tmpfs size that is none",
        "services:\n  web:\n    image: a\n    tmpfs: /run:size=big\n",
        ('stack.yml:4:12: services.web.tmpfs[0]: "big" is not a size',),
    ),
    Broken(
        "an expose that is a word",
        "services:\n  web:\n    image: a\n    expose: [http]\n",
        (
            "stack.yml:4:14: services.web.expose[0]: expected a port such as 80 or 53/udp, "
            'got the string "http"',
        ),
    ),
    Broken(
        "credentials for Windows",
        "services:\n  web:\n    image: a\n    credential_spec: {file: c.json}\n",
        (
            "stack.yml:4:5: services.web.credential_spec: only Windows containers have "
            "credential specs; remove it",
        ),
    ),
    Broken(
        "an unknown watch action",
        "services:\n  web:\n    build: .\n    develop:\n      watch:\n"
        "        - {path: src, action: copy}\n",
        (
            "stack.yml:6:31: services.web.develop.watch[0].action: expected rebuild, "
            'sync, restart, sync+restart or sync+exec, got the string "copy"',
        ),
    ),
    Broken(
        "a watch rule without a path",
        "services:\n  web:\n    build: .\n    develop:\n      watch:\n        - action: rebuild\n",
        ('stack.yml:6:11: services.web.develop.watch[0]: the key "path" is missing',),
    ),
    Broken(
        "a hook without a command",
        "services:\n  web:\n    image: a\n    post_start:\n      - user: root\n",
        ('stack.yml:5:9: services.web.post_start[0]: the key "command" is missing',),
    ),
    Broken(
        "a hook whose command is nothing",
        "services:\n  web:\n    image: a\n    post_start:\n      - command:\n",
        (
            "stack.yml:5:17: services.web.post_start[0].command: expected a command, got nothing; "
            "give it a value or remove the key",
        ),
    ),
    Broken(
        "a hook of no words",
        "services:\n  web:\n    image: a\n    pre_stop:\n      - command: []\n",
        ("stack.yml:5:18: services.web.pre_stop[0].command: expected a command, got a list",),
    ),
    Broken(
        "a weight that is too heavy",
        "services:\n  web:\n    image: a\n    blkio_config: {weight: 2000}\n",
        (
            "stack.yml:4:28: services.web.blkio_config.weight: expected a whole number "
            "from 0 to 1000, got the number 2000",
        ),
    ),
    Broken(
        "a device rate without a device",
        "services:\n  web:\n    image: a\n    blkio_config:\n      device_read_bps:\n"
        "        - {rate: 1mb}\n",
        (
            "stack.yml:6:11: services.web.blkio_config.device_read_bps[0]: the key "
            '"path" is missing',
        ),
    ),
    Broken(
        "a device that is a number",
        "services:\n  web:\n    image: a\n    devices: [7]\n",
        (
            "stack.yml:4:15: services.web.devices[0]: expected a device such as "
            "/dev/fuse:/dev/fuse:rwm, got the number 7",
        ),
    ),
    Broken(
        "a grant without a source",
        "services:\n  web:\n    image: a\n    secrets:\n      - target: key\n",
        ('stack.yml:5:9: services.web.secrets[0]: the key "source" is missing',),
    ),
    Broken(
        "an undefined config",
        "services:\n  web:\n    image: a\n    configs: [cnf]\nconfigs:\n  conf: {content: x}\n",
        (
            'stack.yml:4:15: services.web.configs[0]: there is no config "cnf"; did '
            'you mean "conf"?',
        ),
    ),
    Broken(
        "a config from nowhere",
        "services:\n  web:\n    image: a\nconfigs:\n  c: {labels: {a: b}}\n",
        ("stack.yml:5:3: configs.c: needs one of file, content, environment",),
    ),
    Broken(
        "an unknown update order",
        "services:\n  web:\n    image: a\n    deploy:\n      update_config: {order: start_first}\n",
        (
            "stack.yml:5:30: services.web.deploy.update_config.order: expected "
            'stop-first or start-first, got the string "start_first"; did you mean '
            '"start-first"?',
        ),
    ),
    Broken(
        "an unknown deploy mode",
        "services:\n  web:\n    image: a\n    deploy: {mode: globl}\n",
        (
            "stack.yml:4:20: services.web.deploy.mode: expected replicated, global, "
            'replicated-job or global-job, got the string "globl"; did you mean "global"?',
        ),
    ),
    Broken(
        "replicas that are a word",
        "services:\n  web:\n    image: a\n    deploy: {replicas: many}\n",
        (
            "stack.yml:4:24: services.web.deploy.replicas: expected a whole number, 0 "
            'or more, got the string "many"',
        ),
    ),
    Broken(
        "a reservation without capabilities",
        "services:\n  web:\n    image: a\n    deploy:\n      resources:\n"
        "        reservations:\n          devices:\n            - count: 1\n",
        (
            "stack.yml:8:15: services.web.deploy.resources.reservations.devices[0]: "
            'the key "capabilities" is missing',
        ),
    ),
    Broken(
        "a hardware address that is none",
        "services:\n  web:\n    image: a\n    mac_address: 02:42\n",
        (
            "stack.yml:4:18: services.web.mac_address: expected a hardware address, "
            'got the string "02:42"',
        ),
    ),
    Broken(
        "a gateway that is none",
        "services:\n  web:\n    image: a\nnetworks:\n  default:\n    ipam:\n      config:\n"
        "        - {subnet: 10.0.0.0/24, gateway: ten}\n",
        (
            "stack.yml:8:42: networks.default.ipam.config[0].gateway: expected an IP "
            'address, got the string "ten"',
        ),
    ),
    Broken(
        "a propagation that is none",
        "services:\n  web:\n    image: a\n    volumes:\n"
        "      - {type: bind, source: /a, target: /b, bind: {propagation: private2}}\n",
        (
            "stack.yml:5:66: services.web.volumes[0].bind.propagation: expected "
            "rprivate, private, rshared, shared, rslave or slave, got the string "
            '"private2"; did you mean "private"?',
        ),
    ),
    Broken(
        "retries that are a word",
        "services:\n  web:\n    image: a\n    healthcheck: {test: x, retries: few}\n",
        (
            "stack.yml:4:37: services.web.healthcheck.retries: expected a whole "
            'number, 0 or more, got the string "few"',
        ),
    ),
    Broken(
        "an interval without a unit",
        "services:\n  web:\n    image: a\n    healthcheck: {test: x, interval: 5}\n",
        (
            "stack.yml:4:38: services.web.healthcheck.interval: expected a duration "
            'such as "1m30s", got the number 5; give it a unit: "5s"',
        ),
    ),
    Broken(
        "an oom score out of range",
        "services:\n  web:\n    image: a\n    oom_score_adj: 2000\n",
        (
            "stack.yml:4:20: services.web.oom_score_adj: expected a whole number from "
            "-1000 to 1000, got the number 2000",
        ),
    ),
    Broken(
        "swappiness out of range",
        "services:\n  web:\n    image: a\n    mem_swappiness: 200\n",
        (
            "stack.yml:4:21: services.web.mem_swappiness: expected a whole number from "
            "0 to 100, got the number 200",
        ),
    ),
    Broken(
        "a logging that is a list",
        "services:\n  web:\n    image: a\n    logging: [json-file]\n",
        ("stack.yml:4:14: services.web.logging: expected a mapping, got a list",),
    ),
    Broken(
        "options that are a list",
        "services:\n  web:\n    image: a\n    logging: {driver: json-file, options: [a]}\n",
        ("stack.yml:4:43: services.web.logging.options: expected a mapping, got a list",),
    ),
    Broken(
        "sysctls that are a string",
        "services:\n  web:\n    image: a\n    sysctls: net.ipv4.ip_forward\n",
        (
            "stack.yml:4:14: services.web.sysctls: expected a mapping or a list of "
            'NAME=VALUE, got the string "net.ipv4.ip_forward"',
        ),
    ),
    Broken(
        "a build that is a list",
        "services:\n  web:\n    build: [.]\n",
        ("stack.yml:3:12: services.web.build: expected a directory or a mapping, got a list",),
    ),
    Broken(
        "an unknown key of a build",
        "services:\n  web:\n    build: {contxt: .}\n",
        (
            'stack.yml:3:13: services.web.build.contxt: unknown key "contxt"; did you '
            'mean "context"?',
        ),
    ),
    Broken(
        "build arguments that are a string",
        "services:\n  web:\n    build: {context: ., args: A=1}\n",
        (
            "stack.yml:3:31: services.web.build.args: expected a mapping or a list of "
            'NAME=VALUE, got the string "A=1"',
        ),
    ),
    Broken(
        "profiles that are a string",
        "services:\n  web:\n    image: a\n    profiles: debug\n",
        ('stack.yml:4:15: services.web.profiles: expected a list, got the string "debug"',),
    ),
    Broken(
        "a depends_on that is a string",
        "services:\n  web:\n    image: a\n    depends_on: db\n  db: {image: b}\n",
        (
            "stack.yml:4:17: services.web.depends_on: expected a list of services or a "
            'mapping, got the string "db"',
        ),
    ),
    Broken(
        "a network that is a string",
        "services:\n  web:\n    image: a\nnetworks: {front: bridge}\n",
        ('stack.yml:4:19: networks.front: expected a mapping, got the string "bridge"',),
    ),
    Broken(
        "a volume that is a list",
        "services:\n  web:\n    image: a\nvolumes: {data: [a]}\n",
        ("stack.yml:4:17: volumes.data: expected a mapping, got a list",),
    ),
    Broken(
        "an unknown key of a network",
        "services:\n  web:\n    image: a\nnetworks:\n  default: {internl: true}\n",
        (
            'stack.yml:5:13: networks.default.internl: unknown key "internl"; did you '
            'mean "internal"?',
        ),
    ),
    Broken(
        "an unknown key of a volume",
        "services:\n  web:\n    image: a\nvolumes:\n  data: {drivr: local}\n",
        ('stack.yml:5:10: volumes.data.drivr: unknown key "drivr"; did you mean "driver"?',),
    ),
    Broken(
        "an unknown key of a healthcheck",
        "services:\n  web:\n    image: a\n    healthcheck: {tests: x}\n",
        (
            'stack.yml:4:19: services.web.healthcheck.tests: unknown key "tests"; did '
            'you mean "test"?',
        ),
    ),
    Broken(
        "a name that is a list",
        "name: [a]\nservices:\n  web:\n    image: a\n",
        ("stack.yml:1:7: name: expected a string, got a list",),
    ),
    Broken(
        "an include that is a mapping",
        "services:\n  web:\n    image: a\ninclude: {path: a.yml}\n",
        ("stack.yml:4:10: include: expected a list, got a mapping",),
    ),
    Broken(
        "a link to nobody",
        "services:\n  web:\n    image: a\n    links: [dbase]\n  db: {image: b}\n",
        ('stack.yml:4:13: services.web.links[0]: there is no service "dbase"',),
    ),
    Broken(
        "volumes from nobody",
        "services:\n  web:\n    image: a\n    volumes_from: [dbase]\n  db: {image: b}\n",
        ('stack.yml:4:20: services.web.volumes_from[0]: there is no service "dbase"',),
    ),
    Broken(
        "a namespace of a provider's service",
        "services:\n  web:\n    image: a\n    network_mode: service:vpn\n  vpn:\n"
        "    provider: {type: x}\n",
        (
            'stack.yml:4:5: services.web.network_mode: the service "vpn" is left to a '
            "provider: it has no containers here; name a service with an image",
        ),
    ),
    Broken(
        "an image that is empty",
        "services:\n  web:\n    image: ''\n",
        ('stack.yml:2:3: services.web: has neither an image nor a build; add "image" or "build"',),
    ),
    Broken(
        "an ssh that is a number",
        "services:\n  web:\n    build: {context: ., ssh: 3}\n",
        (
            "stack.yml:3:30: services.web.build.ssh: expected a mapping or a list of "
            "NAME=VALUE, got the number 3",
        ),
    ),
    Broken(
        "a misspelled variable in a port",
        "services:\n  web:\n    image: a\n    ports: ['${PORT:?}:80']\n",
        (
            "stack.yml:4:13: services.web.ports[0]: the variable PORT is required; set "
            "PORT in the environment or in .env",
        ),
    ),
    Broken(
        "a port of zero",
        "services:\n  web:\n    image: a\n    ports: ['0:0']\n",
        ('stack.yml:4:13: services.web.ports[0]: "0" is not from 1 to 65535',),
    ),
    Broken(
        "a user that is a mapping",
        "services:\n  web:\n    image: a\n    user: {name: a}\n",
        ("stack.yml:4:11: services.web.user: expected a string, got a mapping",),
    ),
    Broken(
        "a label file that is missing",
        "services:\n  web:\n    image: a\n    label_file: no.labels\n",
        (
            "stack.yml:4:17: services.web.label_file[0]: there is no file no.labels; "
            "make it, or remove this",
        ),
    ),
    Broken(
        "a build's secret of nobody",
        "services:\n  web:\n    build: {context: ., secrets: [key]}\n",
        (
            'stack.yml:3:35: services.web.build.secrets[0]: there is no secret "key"; '
            'declare it under "secrets" at the top',
        ),
    ),
    Broken(
        "a config from two places",
        "services:\n  web:\n    image: a\nconfigs:\n  conf:\n    file: c\n    content: d\n",
        (
            "stack.yml:7:5: configs.conf.content: only one of file, content, "
            "environment can be given; keep one",
        ),
    ),
    Broken(
        "an external volume of two names",
        "services:\n  web:\n    image: a\nvolumes:\n  data: {external: {name: a}, name: b}\n",
        ("stack.yml:5:21: volumes.data.external.name: differs from name; keep name",),
    ),
    Broken(
        "two merge keys",
        "x-a: &a {tty: true}\nservices:\n  web:\n    image: a\n    <<: *a\n    <<: *a\n",
        (
            "stack.yml:6:5: services.web.<<: the key is given twice, first on line 5; "
            "merge a list: <<: [*a, *b]",
        ),
    ),
    Broken(
        "many problems at once",
        "services:\n"
        "  web:\n"
        "    image: a\n"
        "    tty: 3\n"
        "    ports: [x]\n"
        "    networks: [nope]\n"
        "    volumes: [v:/v]\n"
        "    extra: 1\n",
        (
            "stack.yml:4:10: services.web.tty: expected true or false, got the number 3",
            'stack.yml:5:13: services.web.ports[0]: "x" is not a port; write '
            "[[IP:]HOST:]CONTAINER[/PROTOCOL]",
            'stack.yml:6:16: services.web.networks.nope: there is no network "nope"; '
            'declare it under "networks" at the top',
            'stack.yml:7:15: services.web.volumes[0]: there is no volume "v"; declare it '
            'under "volumes" at the top',
            'stack.yml:8:5: services.web.extra: unknown key "extra"; did you mean "extra_hosts"?',
        ),
    ),
)
