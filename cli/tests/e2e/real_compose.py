#!/usr/bin/env python3
"""real_compose.py WYTHE BASE [SHAPE…]: builds Compose projects with docker compose, on this program as the plugin and on buildx.

By hand, where docker, its compose and buildx plugins and an engine are, and may be used; BASE is a name of a busybox image that both can pull.
Of each project of SHAPES below, which has one use of `build:`, three things are compared: how docker compose ends, what the images say
(the file /said), and what their configuration has. What differs is printed, and the exit code is 1. What docker's own builder refuses, as
caches that leave it, is `more`.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

wythe, base, *chosen = sys.argv[1:]
SAY = f'FROM {base}\nARG A=none\nARG B=none\nRUN echo "A=$A B=$B" > /said\n'


def service(build='', **others):
    lines = ''.join(f'    {key}: {value}\n' for key, value in others.items())
    return f'    build:\n      context: .\n{build}{lines}'


def one(build='', dockerfile=SAY, **others):
    return {'compose.yaml': f'services:\n  app:\n{service(build, **others)}', 'Dockerfile': dockerfile}


def inline(text):
    return '      dockerfile_inline: |\n' + ''.join(f'        {line}\n' for line in text.splitlines())


# What each project has: its files; what is said of it beside `build`; which services are looked at.
SHAPES = {
    'plain': one(),
    'short': {'compose.yaml': 'services:\n  app:\n    build: .\n', 'Dockerfile': SAY},
    'args_list': one('      args: [A=1, "B=two words"]\n'),
    'args_map': one('      args: {A: 1, B: "x=y"}\n'),
    'args_of_the_environment': one('      args: [A]\n') | {'.env': 'A=from-file\n'},
    'args_with_dollars': one('      args: {A: "$${HOME} $$x"}\n'),
    'args_of_the_line': one() | {'call': '--build-arg A=line --build-arg B=other'},
    'inline': one(inline(SAY)) | {'Dockerfile': 'FROM nothing/wrong\n'},
    'inline_with_variables': one(inline(f'FROM {base}\nARG A=1\nRUN V=$${{A}}; echo "$$V $${{A:-x}}" > /said')),
    'inline_with_a_heredoc': one(inline(f'FROM {base}\nRUN <<E\necho "$$0 in" > /said\nE\nCOPY <<F /f\nx\nF')),
    'file_elsewhere': {'compose.yaml': 'services:\n  app:\n    build: {context: ctx, dockerfile: ../own.Dockerfile}\n',
                       'own.Dockerfile': SAY + 'COPY f /f\n', 'ctx/f': 'here'},
    'file_in_a_directory': {'compose.yaml': 'services:\n  app:\n    build: {context: ., dockerfile: docker/Dockerfile}\n',
                            'docker/Dockerfile': SAY + 'COPY f /f\n', 'f': 'here'},
    'ignore_file_beside': {'compose.yaml': 'services:\n  app:\n    build: {context: ., dockerfile: own}\n',
                           'own': SAY + 'COPY . /all\nRUN ls /all >> /said\n', 'own.dockerignore': '*\n!kept\n', 'kept': '1', 'left': '2'},
    'target': one('      target: first\n', f'FROM {base} AS first\nRUN echo first > /said\nFROM first\nRUN exit 1\n'),
    'labels_and_tags': one('      labels: {a: b, c: d}\n      tags: [extra/one:1, extra/two]\n', image='named/app:3'),
    'contexts_of_directories': one('      additional_contexts: {other: ./other}\n', SAY + 'COPY --from=other f /said\n') | {'other/f': 'other\n'},
    'contexts_list': one('      additional_contexts: ["other=./other"]\n', SAY + 'COPY --from=other f /said\n') | {'other/f': 'other\n'},
    'contexts_of_images': one(f'      additional_contexts: {{start: "docker-image://{base}"}}\n', 'FROM start\nRUN echo start > /said\n'),
    'contexts_of_services': {'compose.yaml': 'services:\n  low:\n    build: {context: low}\n  app:\n'
                             + service('      additional_contexts: {below: "service:low"}\n'),
                             'low/Dockerfile': SAY, 'Dockerfile': 'FROM below\nRUN echo over >> /said\n'},
    'secrets_of_files': one('      secrets: [plain, {source: other, target: named}]\n',
                            f'FROM {base}\nRUN --mount=type=secret,id=plain --mount=type=secret,id=named '
                            'cat /run/secrets/plain /run/secrets/named > /said\n')
    | {'s1': 'one\n', 's2': 'two\n', 'secrets': 'secrets: {plain: {file: s1}, other: {file: s2}}\n'},
    'secrets_of_variables': one('      secrets: [plain]\n', f'FROM {base}\nRUN --mount=type=secret,id=plain cat /run/secrets/plain > /said\n')
    | {'secrets': 'secrets: {plain: {environment: HELD}}\n', '.env': 'HELD=of the file\n'},
    'ssh': one('      ssh: [default]\n', f'FROM {base}\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo agent > /said\n'),
    'hosts_list': one('      extra_hosts: ["far=10.1.2.3", "near:10.1.2.4"]\n', f'FROM {base}\nRUN grep -E "far|near" /etc/hosts > /said\n'),
    'hosts_map': one('      extra_hosts: {far: 10.1.2.3}\n', f'FROM {base}\nRUN grep far /etc/hosts > /said\n'),
    'shm_size': one('      shm_size: 128mb\n', f'FROM {base}\nRUN df -k /dev/shm | tail -n 1 | tr -s " " | cut -d " " -f 2 > /said\n'),
    'ulimits': one('      ulimits: {nofile: {soft: 500, hard: 600}, nproc: 700}\n', f'FROM {base}\nRUN ulimit -n > /said; ulimit -Hn >> /said\n'),
    'no_network': one('      network: none\n', f'FROM {base}\nRUN cat /proc/net/route | wc -l; ls /sys/class/net | grep -v lo | tr "\\n" " " > /said\n'),
    'host_network': one('      network: host\n', f'FROM {base}\nRUN hostname > /dev/null; echo host > /said\n'),
    'privileged': one('      privileged: true\n', f'FROM {base}\nRUN --security=insecure echo all > /said\n'),
    'entitlements': one('      entitlements: [security.insecure]\n', f'FROM {base}\nRUN --security=insecure echo all > /said\n'),
    'not_entitled': one('', f'FROM {base}\nRUN --security=insecure echo all > /said\n'),
    'no_cache_and_pull': one('      no_cache: true\n      pull: true\n'),
    'no_cache_of_the_line': one() | {'call': '--no-cache --pull'},
    'cache_local': one('      cache_to: ["type=local,dest=./cache"]\n      cache_from: ["type=local,src=./cache"]\n'),
    'cache_inline': one('      cache_to: [type=inline]\n'),
    'platform': one('      platforms: [linux/amd64]\n'),
    'platform_of_the_service': one('', SAY, platform='linux/amd64'),
    'platforms': one('      platforms: [linux/amd64, linux/arm64]\n', 'FROM scratch\nCOPY Dockerfile /f\n'),
    'provenance_off': one('      provenance: false\n'),
    'provenance': one('      provenance: mode=max\n'),
    'sbom_off': one('      sbom: false\n'),
    'dots': {'compose.yaml': 'services:\n  app:\n' + service() + '  a.b:\n' + service('      args: [A=dots]\n'), 'Dockerfile': SAY, 'services': 'app a.b'},
    'anchors': {'compose.yaml': 'x-b: &b {context: ., args: {A: anchor}}\nservices:\n  app:\n    build: *b\n  two:\n    build: {<<: *b, args: {A: own}}\n',
                'Dockerfile': SAY, 'services': 'app two'},
    'extends': {'compose.yaml': 'services:\n  app:\n    extends: {file: below/c.yaml, service: s}\n',
                'below/c.yaml': 'services:\n  s:\n    build: {context: ctx, args: [A=below]}\n', 'below/ctx/Dockerfile': SAY},
    'include': {'compose.yaml': 'include: [below/c.yaml]\n', 'below/c.yaml': 'services:\n  app:\n    build: ctx\n', 'below/ctx/Dockerfile': SAY},
    'override': one() | {'compose.override.yaml': 'services:\n  app:\n    build: {args: {A: over}}\n'},
    'profiles': {'compose.yaml': 'services:\n  app:\n' + service() + '  off:\n' + service(profiles='[p]'), 'Dockerfile': SAY},
    'old_names': {'docker-compose.yml': 'version: "3.8"\nservices:\n  app:\n    build: .\n', 'Dockerfile': SAY},
    'name': {'compose.yaml': 'name: other\nservices:\n  app:\n    build: .\n', 'Dockerfile': SAY, 'project': 'other'},
    'nothing_to_build': {'compose.yaml': f'services:\n  app: {{image: "{base}"}}\n', 'services': ''},
    'many': {'compose.yaml': 'services:\n' + ''.join(f'  s{n}:\n' + service(f'      args: [A={n}]\n') for n in range(20)),
             'Dockerfile': SAY, 'services': 's0 s19'},
    'quiet': one() | {'call': '--quiet'},
    'checked': one() | {'call': '--check', 'services': ''},
    'pushed': one(image='127.0.0.1:5555/composed/app:1') | {'call': '--push', 'services': ''},
    'fails': one('', f'FROM {base}\nRUN echo dead; exit 3\n'),
    'fails_to_parse': one('', f'FORM {base}\n'),
    'lacks_a_file': one('', f'FROM {base}\nCOPY nothing /\n'),
    'lacks_a_service': one('      additional_contexts: {below: "service:none"}\n'),
}
# What buildx says of what the builder in docker's engine cannot do.
BEYOND = ('not supported for the docker driver', 'not allowed by build daemon configuration')
SPECIAL = ('call', 'services', 'secrets', 'project')


def shell(*words, **how):
    return subprocess.run(words, capture_output=True, text=True, errors='replace', check=False, **how)


def prepare(directory, shape):
    for path, text in shape.items():
        if path not in SPECIAL:
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + (shape.get('secrets', '') if path.endswith('compose.yaml') else ''))


def said(image):
    """What an image of the engine says, and what it is configured to."""
    ran = shell('docker', 'run', '--rm', '--network', 'none', image, 'cat', '/said')
    about = json.loads(shell('docker', 'image', 'inspect', image).stdout or '[]')
    config = {key: about[0]['Config'].get(key) for key in ('Env', 'Labels', 'Cmd', 'User')} if about else None
    tags = sorted(about[0]['RepoTags']) if about else None
    return {'said': ran.stdout, 'config': config, 'tags': tags}


def build(name, shape, plugin, work):
    """One project with one builder: how it ends, and what came of it."""
    directory = work / name
    directory.mkdir(parents=True)
    prepare(directory, shape)
    environment = os.environ | {'DOCKER_CONFIG': str(work / f'config-{plugin}'), 'COMPOSE_BAKE': 'true'}
    done = shell('docker', 'compose', 'build', *shape.get('call', '').split(), cwd=directory, env=environment)
    project = shape.get('project', name)
    images = {}
    for service in shape.get('services', 'app').split() if done.returncode == 0 else ():
        image = next((line.split('image: ')[1].strip() for line in shape.get('compose.yaml', '').splitlines() if '    image: ' in line), None)
        images[service] = said(image or f'{project}-{service}')
    shell('sh', '-c', 'docker images -q | xargs -r docker rmi -f')
    shutil.rmtree(directory)
    return {'code': done.returncode, 'images': images}, done.stderr + done.stdout


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix='compose'))
    os.environ['WYTHE_STORE'] = str(work / 'store')
    for plugin in ('wythe', 'buildx'):
        (work / f'config-{plugin}').mkdir()
    shell(wythe, 'install-docker-plugin', env=os.environ | {'DOCKER_CONFIG': str(work / 'config-wythe')})
    agent = shell('ssh-agent', '-s').stdout
    os.environ |= dict(part.split('=', 1) for part in agent.replace('\n', ' ').split('; ') if '=' in part)
    differ = 0
    for name, shape in SHAPES.items():
        if chosen and name not in chosen:
            continue
        ours, log = build(name, shape, 'wythe', work)
        theirs, other = build(name, shape, 'buildx', work)
        more = ours['code'] == 0 and theirs['code'] != 0 and any(words in other for words in BEYOND)
        same = more or ours == theirs
        differ += not same
        print(f'{"more" if more else "ok" if same else "DIFFERS"} {name}: {ours["code"]}', flush=True)
        if not same:
            print(f'  wythe  {json.dumps(ours)}\n  buildx {json.dumps(theirs)}')
        if not same or os.environ.get('LOGS'):
            print(''.join(f'    | {line}\n' for line in log.splitlines()[-15:]) + '    ---')
            print(''.join(f'    | {line}\n' for line in other.splitlines()[-15:]))
    os.kill(int(os.environ['SSH_AGENT_PID']), 15)
    shutil.rmtree(work)
    print(f'{len(chosen or SHAPES) - differ} the same, {differ} differ')
    sys.exit(differ > 0)


main()
