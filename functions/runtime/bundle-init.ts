import { bundleFolder, bundleVariables } from './aws-names.ts';

/**
 * What the init container of a bundle's task runs; give it as the container definition's `entryPoint` (the AWS CLI's
 * image has `aws` as its own) with the bundle's volume at `bundleFolder`. It fetches the bundle from S3 with the task's
 * own role, compares its digest, unpacks it and ends with 0; with a sentence on its log and 1 when it cannot.
 *
 * In Python, because `public.ecr.aws/aws-cli/aws-cli` has no `tar` and no `gzip`: it is Amazon Linux 2023 with `less
 * groff findutils jq` (https://github.com/aws/aws-cli/blob/v2/docker/Dockerfile). Its `dnf` is a Python program, so
 * `/usr/bin/python3`, 3.9, is always there (https://docs.aws.amazon.com/linux/al2023/ug/python.html).
 *
 * The rules for entries are those of `buildspecs/agent/read-archive.ts`. Whoever may be the app's user can read what
 * is unpacked; only the commit's time and the executable bit are taken from the archive. The folder is emptied first:
 * an earlier attempt may have filled a half of it.
 */
const program = `
import hashlib, os, posixpath, shutil, signal, subprocess, sys, tarfile, zlib

def fail(message):
    print('The bundle is not usable: ' + message, file=sys.stderr, flush=True)
    sys.exit(1)

def wanted(name):
    value = os.environ.get(name, '')
    if not value:
        fail(name + ' is not set')
    return value

def leaves(path):
    normal = posixpath.normpath(path)
    return path.startswith('/') or normal == '..' or normal.startswith('../')

def turns_back(target):
    parts = [part for part in target.split('/') if part not in ('', '.')]
    names = [at for at, part in enumerate(parts) if part != '..']
    return bool(names) and '..' in parts[names[0]:]

def refused(entry, links):
    name = posixpath.normpath(entry.name)
    folders = name.split('/')[:-1]
    if leaves(entry.name):
        return 'its name leads out of the bundle'
    if any('/'.join(folders[:count + 1]) in links for count in range(len(folders))):
        return 'it lies behind a symbolic link'
    if entry.isfile() or entry.isdir():
        return 'it takes the place of a symbolic link' if name in links else None
    if entry.islnk():
        if leaves(entry.linkname):
            return 'the link leads out of the bundle'
        target = posixpath.normpath(entry.linkname).split('/')
        behind = any('/'.join(target[:count + 1]) in links for count in range(len(target)))
        return 'the link goes by a symbolic link' if behind else None
    if not entry.issym():
        return 'it is neither a file nor a folder'
    if turns_back(entry.linkname):
        return 'the symbolic link turns back on its way'
    target = posixpath.join(posixpath.dirname(entry.name), entry.linkname)
    return 'the symbolic link leads out of the bundle' if leaves(target) else None

def empty(folder):
    for found in os.scandir(folder):
        if found.is_dir(follow_symlinks=False):
            shutil.rmtree(found.path)
        else:
            os.unlink(found.path)

def fetch(file):
    source = 's3://' + wanted('${bundleVariables.bucket}') + '/' + wanted('${bundleVariables.key}')
    print('Fetching ' + source, flush=True)
    if subprocess.run(['aws', 's3', 'cp', '--no-progress', '--only-show-errors', source, file]).returncode != 0:
        fail(source + ' cannot be fetched')

def check(file):
    sha256 = hashlib.sha256()
    with open(file, 'rb') as stream:
        for piece in iter(lambda: stream.read(1024 * 1024), b''):
            sha256.update(piece)
    if sha256.hexdigest() != wanted('${bundleVariables.sha256}'):
        fail('what was fetched has the digest sha256:' + sha256.hexdigest() + ', not the one that was named')

def unpack(file, folder):
    links, count = set(), 0
    with tarfile.open(file, 'r|*') as archive:
        if hasattr(tarfile, 'data_filter'):
            archive.extraction_filter = tarfile.data_filter
        for entry in archive:
            issue = refused(entry, links)
            if issue:
                fail('its ' + repr(entry.name[:200]) + ' is refused: ' + issue)
            if entry.issym():
                links.add(posixpath.normpath(entry.name))
            entry.uid, entry.gid, entry.uname, entry.gname = os.getuid(), os.getgid(), '', ''
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            archive.extract(entry, folder)
            count += 1
    if count == 0:
        fail('it holds nothing')
    return count

def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    folder = sys.argv[1]
    work = os.path.join(folder, '.sluice-bundle')
    empty(folder)
    os.mkdir(work, 0o700)
    try:
        file = os.path.join(work, 'archive')
        fetch(file)
        check(file)
        inside = os.path.join(work, 'unpacked')
        os.mkdir(inside)
        count = unpack(file, inside)
        os.unlink(file)
        for name in os.listdir(inside):
            if name != '.sluice-bundle':
                os.rename(os.path.join(inside, name), os.path.join(folder, name))
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        fail(str(error))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    os.chmod(folder, 0o755)
    print('Unpacked ' + str(count) + ' files and folders', flush=True)

main()
`;

/** `-I`: no module of the environment or the working directory takes the place of Python's own. */
export const bundleInitCommand: readonly string[] = ['/usr/bin/python3', '-I', '-c', program.trim(), bundleFolder];
