import { execFileSync } from 'node:child_process'
import { chownSync, linkSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { Engine, DropPrivileges, type DropPrivilegesOptions } from '@fastkeep/engine'
import { needs, needsRoot } from '../programs.js'
import { directory, freeLowPort, identityOf, isNobody, isRefused, needsMounts, nobody, refusal, SHADOW_GROUP, start } from './privileged-service.js'

test('a drop that is not complete ends the start with code 77, and nothing is served', { skip: needsRoot() }, async t => {
  const variants: ReadonlyArray<[string, RegExp]> = [
    ['no setuid', /Uid is "0 0 0 0" in (\d+) of \1 threads/],
    ['seteuid instead of setuid', /Uid is "0 \d+ 0 \d+" in (\d+) of \1 threads/],
    ['no setgid', /Gid is "0 0 0 0" in (\d+) of \1 threads/],
    ['setegid instead of setgid', /Gid is "0 \d+ 0 \d+" in (\d+) of \1 threads/],
    ['setgroups only the first time', /Groups is "0 4 42" in (\d+) of \1 threads/],
    ['no setgroups', /cannot drop privileges: the system gave it the groups 0 4 42 instead/],
  ]
  for (const [variant, reason] of variants) {
    const child = start(t, { user: 'nobody' }, { env: { BREAK: variant, GROUPS: JSON.stringify([0, 4, SHADOW_GROUP]) } })
    t.match(await refusal(t, child, 77), reason, variant)
  }
})

test('capabilities that survive the change of user are seen', { skip: needsRoot() || needs('setpriv') }, async t => {
  const port = await freeLowPort()
  const child = start(t, { user: 'nobody' }, { through: ['setpriv', '--securebits=+no_setuid_fixup'], env: { PORT: String(port) } })
  t.match(await refusal(t, child, 77), /privileges were not dropped to nobody .*CapPrm is "[0-9a-f]*[1-9a-f]0*[0-9a-f]*" in/)
  t.ok(await isRefused(port))
})

test('a root that may not change users is told which capabilities it lacks, before anything has begun', { skip: needsRoot() || needs('setpriv') }, async t => {
  const lacking = start(t, { user: 'nobody' }, { through: ['setpriv', '--inh-caps=-setgid', '--bounding-set=-setgid'] })
  t.match(await refusal(t, lacking, 77), /CAP_SETGID and CAP_SETUID/)
  t.notMatch(lacking.output, /begun/)
  const half = start(t, { user: 'nobody' }, { through: ['setpriv', '--inh-caps=-setuid', '--bounding-set=-setuid'] })
  t.match(await refusal(t, half, 77), /privileges were not dropped to nobody .*EPERM/)
})

test('unknown names and root itself are configuration errors, found before anything has begun', async t => {
  const refusals: ReadonlyArray<[DropPrivilegesOptions, string]> = [
    [{ user: 'no-such-user' }, 'there is no user "no-such-user": neither /etc/passwd nor "getent passwd" has it; create it or correct the option "user"'],
    [{ user: '-s' }, 'there is no user "-s"'],
    [{ user: 'nobody:x' }, 'there is no user "nobody:x"'],
    [{ user: '4294967295' }, 'there is no user "4294967295"'],
    [{ user: 'nobody', group: 'no-such-group' }, 'there is no group "no-such-group": neither /etc/group nor "getent group" has it'],
    [{ user: 'root' }, 'the option "user" names "root": that is root, which drops nothing'],
    [{ user: 0 }, 'the option "user" names 0: that is root'],
    [{ user: '00' }, 'the option "user" names "00": that is root'],
  ]
  for (const [options, reason] of refusals) {
    const engine = new Engine()
    let hasBegun = false
    engine.subscribe('start', () => { hasBegun = true }, { priority: 6 })
    new DropPrivileges(engine, options).subscribe()
    await t.rejects(engine.start(), { exitCode: 78, cause: { message: new RegExp(`^${reason}`) } })
    t.notOk(hasBegun, reason)
  }
  t.match(await refusal(t, start(t, { user: 'no-such-user' }), 78), 'cannot start: DropPrivileges: there is no user "no-such-user"')
})

test('a process that is neither root nor the target is told both ways out', async t => {
  const as = process.getuid?.() === 0 ? { as: nobody } : {}
  const { uid, gid } = as.as ?? { uid: process.getuid?.(), gid: process.getgid?.() }
  const child = start(t, { user: 54_321 }, as)
  const reason = await refusal(t, child, 77)
  t.match(reason, `cannot become a user without a name (uid 54321, gid 54321): this process runs as uid ${uid}, gid ${gid}, and only root can change that; start it as root, or start it as that user`)
  t.notMatch(child.output, /begun/)
})

test('a process of the target user with another group, or with root in reserve, is not the target', { skip: needsRoot() || needs('setpriv') }, async t => {
  // What a launcher leaves that changes the user alone.
  const groupOfRoot = start(t, { user: 'nobody' }, { through: ['setpriv', `--reuid=${nobody.uid}`, '--clear-groups'] })
  t.match(await refusal(t, groupOfRoot, 77), `runs as uid ${nobody.uid}, gid 0, and only root can change that`)
  const ambient = ['setpriv', `--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, '--clear-groups', '--inh-caps=+setuid', '--ambient-caps=+setuid']
  t.match(await refusal(t, start(t, { user: 'nobody' }, { through: ambient }), 77), 'privileges were not dropped to nobody')
})

test('a link, a FIFO, a directory, a missing file and the PID file are never given away', { skip: needsRoot() || needs('mkfifo') }, async t => {
  const dir = directory(t)
  const path = (name: string): string => join(dir, name)
  writeFileSync(path('foreign'), 'somebody else\'s')
  symlinkSync(path('foreign'), path('symlink'))
  writeFileSync(path('linked'), 'somebody else\'s')
  linkSync(path('linked'), path('hardlink'))
  mkdirSync(path('directory'))
  execFileSync('mkfifo', [path('fifo')])
  const reasons: Readonly<Record<string, string>> = {
    symlink: 'it is a symbolic link; name the file itself',
    hardlink: 'it has 2 hard links, and the others may be somebody else\'s',
    directory: 'it is not a regular file',
    fifo: 'it is not a regular file',
    pid: 'it is the PID file: its owner could have root signal any process by it',
    missing: 'ENOENT',
  }
  for (const [name, reason] of Object.entries(reasons)) {
    const child = start(t, { user: 'nobody', files: [path(name)] }, { env: name === 'pid' ? { WRITE_PID: path(name) } : {} })
    t.match(await refusal(t, child, 77), `cannot give ${path(name)} to nobody (uid ${nobody.uid}, gid ${nobody.gid}): ${reason}`)
  }
  for (const name of readdirSync(dir)) t.match(statSync(path(name)), { uid: 0, gid: 0 }, `${name} is still root's`)
})

test('what the user will not be able to read is named before anything has begun', { skip: needsRoot() }, async t => {
  const dir = directory(t)
  const path = (name: string): string => join(dir, name)
  writeFileSync(path('readable'), 'a certificate')
  writeFileSync(path('key'), 'a key', { mode: 0o600 })
  mkdirSync(path('closed'), { mode: 0o700 })
  writeFileSync(path('closed/certificate'), 'a certificate')
  mkdirSync(path('listed'), { mode: 0o744 })
  const readable = ['readable', 'key', 'closed', 'closed/certificate', 'listed', 'missing'].map(path)
  const child = start(t, { user: 'nobody', readable })
  t.match(await refusal(t, child, 77), `nobody (uid ${nobody.uid}, gid ${nobody.gid}) will not be able to read ${path('key')} (EACCES), ${path('closed')} (EACCES), ${path('closed/certificate')} (EACCES), ${path('listed')} (EACCES), ${path('missing')} (ENOENT), e.g. when keys are renewed; give the user or one of its groups access`)
  t.notMatch(child.output, /begun/)
  chownSync(path('key'), nobody.uid, nobody.gid)
  isNobody(t, await identityOf(start(t, { user: 'nobody', readable: [path('readable'), path('key'), dir] })))
})

test('UV_USE_IO_URING on a Node that refuses to drop with it: the error says what to do', { skip: needsRoot() }, async t => {
  const child = start(t, { user: 'nobody' }, { env: { UV_USE_IO_URING: '1' } })
  if (process.versions.node.startsWith('20.')) {
    t.match(await refusal(t, child, 77), `cannot drop privileges: Node ${process.version} refuses it while UV_USE_IO_URING is set (CVE-2024-22017); unset UV_USE_IO_URING, or use Node 22 or later`)
    t.notMatch(child.output, /begun/)
  } else {
    isNobody(t, await identityOf(child))
  }
})

test('a platform without setuid and a worker thread are refused', async t => {
  const elsewhere = start(t, { user: 'nobody' }, { env: { BREAK: 'no setuid on this platform' } })
  t.match(await refusal(t, elsewhere, 77), /cannot drop privileges: Node on \w+ has no setuid\(\)/)
  const worker = start(t, { user: 'nobody' }, { env: { WORKER: 'true' } })
  t.match(await refusal(t, worker, 77), 'a worker thread cannot change the user of its process')
})

test('without /proc the drop cannot be proven and is refused', { skip: needsMounts() }, async t => {
  const child = start(t, { user: 'nobody' }, { through: ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'] })
  t.match(await refusal(t, child, 77), /needs \/proc as Linux has it/)
  t.notMatch(child.output, /begun/)
})

test('an option that is wrong, unknown or missing is refused at construction', async t => {
  const wrong: ReadonlyArray<[object, string, RegExp]> = [
    [{}, 'FST_KEEP_ENGINE_OPTION_INVALID', /"user" must be a name that is not empty or a number/],
    [{ user: '' }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"user"/],
    [{ user: -1 }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"user".*got -1/],
    [{ user: 0xFFFF_FFFF }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"user"/],
    [{ user: 'nobody', group: 1.5 }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"group"/],
    [{ user: 'nobody', umask: 0o1000 }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"umask" must be a number from 0 to 0o777, got 512/],
    [{ user: 'nobody', umask: '027' }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"umask"/],
    [{ user: 'nobody', files: 'a.log' }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"files" must be an array of paths/],
    [{ user: 'nobody', readable: [''] }, 'FST_KEEP_ENGINE_OPTION_INVALID', /"readable"/],
    [{ user: 'nobody', groups: [] }, 'FST_KEEP_ENGINE_OPTION_UNKNOWN', /unknown option "groups", did you mean "group"/],
  ]
  for (const [options, code, message] of wrong) {
    t.throws(() => new DropPrivileges(new Engine(), options as DropPrivilegesOptions), { code, message, exitCode: 78 })
  }
})
