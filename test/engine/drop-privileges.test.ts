import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Engine, DropPrivileges, type DropPrivilegesOptions } from '@fastkeep/engine'
import { threadFaults } from '../../packages/engine/src/plugins/privileges-check.js'
import { findEntry } from '../../packages/engine/src/plugins/users.js'
import { Child, plainEnvironment } from '../child.js'
import { needs, needsRoot } from '../programs.js'

const service = fileURLToPath(new URL('fixtures/privileged-service.js', import.meta.url))
const SERVING = /serving (http:\/\/127\.0\.0\.1:\d+)/
const NO_CAPABILITIES = '0000000000000000'
const SHADOW_GROUP = 42

/** The user that every system has, and the groups that the system gives it. */
const nobody = (([, , uid, gid]) => ({ uid: Number(uid), gid: Number(gid) }))(findEntry(readFileSync('/etc/passwd', 'utf8'), 'nobody') as string[])
const nobodyGroups = execFileSync('id', ['-G', 'nobody'], { encoding: 'utf8' }).trim().split(' ').map(Number).sort((a, b) => a - b).join(' ')

interface Identity {
  threads: number
  Uid: string[]
  Gid: string[]
  Groups: string[]
  CapPrm: string[]
  CapEff: string[]
  CapAmb: string[]
  waysBack: string[]
  canSetGroups: boolean
  umask: number
  environment: Array<string | null>
  shadow: { main: string, pool: string, worker: string }
}

interface Start {
  env?: NodeJS.ProcessEnv
  /** What runs it, e.g. `['setpriv', '--securebits', ...]`. */
  through?: readonly string[]
  as?: { uid: number, gid: number }
}

function start (t: Test, options: object, { env = {}, through = [], as }: Start = {}): Child {
  const [command, ...args] = [...through, process.execPath, service]
  return new Child(t, command as string, args, {
    env: { ...plainEnvironment(), OPTIONS: JSON.stringify(options), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...as,
  })
}

async function identityOf (child: Child): Promise<Identity> {
  const url = (await child.match(SERVING))[1] as string
  return await (await fetch(url)).json() as Identity
}

/** Ends with that code before anything was served; what stood on standard error. */
async function refusal (t: Test, child: Child, code: number): Promise<string> {
  t.same(await child.ended, { code, signal: null }, child.output)
  t.notMatch(child.output, SERVING)
  const lines = child.output.split('\n').filter(line => line.startsWith('fastkeep: '))
  t.equal(lines.length, 1, 'one line says why')
  return lines.join('\n')
}

function directory (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'drop-privileges-'))
  chmodSync(path, 0o755)
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/** A port that only root may bind and that nobody has. */
async function freeLowPort (): Promise<number> {
  for (let port = 1023; port > 600; port--) {
    const server = net.createServer()
    const isFree = await new Promise(resolve => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)))
    if (isFree !== true) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error('no free port below 1024')
}

function isRefused (port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1')
  return new Promise(resolve => {
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
  }).then(refused => {
    socket.destroy()
    return refused as boolean
  })
}

/** The first answer that a port gives, asked for over and over from now on. */
async function firstAnswer (port: number, signal: AbortSignal): Promise<Identity> {
  while (!signal.aborted) {
    try {
      const request = http.get({ port, host: '127.0.0.1', agent: false })
      const [response] = await once(request, 'response') as [http.IncomingMessage]
      return JSON.parse((await response.setEncoding('utf8').toArray()).join('')) as Identity
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
    }
  }
  throw new Error('no answer in time')
}

function isNobody (t: Test, identity: Identity): void {
  t.match(identity, {
    Uid: [Array(4).fill(nobody.uid).join(' ')],
    Gid: [Array(4).fill(nobody.gid).join(' ')],
    Groups: [nobodyGroups],
    CapPrm: [NO_CAPABILITIES],
    CapEff: [NO_CAPABILITIES],
    CapAmb: [NO_CAPABILITIES],
    waysBack: [],
    canSetGroups: false,
  })
  for (const field of ['Uid', 'Gid', 'Groups', 'CapPrm', 'CapEff', 'CapAmb', 'waysBack'] as const) {
    t.equal(identity[field].length, field === 'waysBack' ? 0 : 1, `${field} is the same in all threads`)
  }
}

/** Where mounting is denied, as in most containers, the system's user database cannot be exchanged for one process. */
function needsMounts (): string | false {
  const missing = needsRoot() || needs('unshare')
  if (missing !== false) return missing
  const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', 'mount --bind /etc/group /etc/group'])
  return status === 0 ? false : 'mounting is denied here'
}

test('a service on a low port is asked from before the bind on, and its first answer is the target user\'s', { skip: needsRoot() }, async t => {
  for (let round = 0; round < 3; round++) {
    const port = await freeLowPort()
    t.ok(await isRefused(port))
    const answer = firstAnswer(port, AbortSignal.timeout(20_000))
    const child = start(t, { user: 'nobody', umask: 0o027 }, { env: { PORT: String(port), HOLD: 'true', GROUPS: '[0,4]' } })
    for (const step of ['bound, uid 0, groups 0,4', `dropped, uid ${nobody.uid}, groups ${nobodyGroups.replaceAll(' ', ',')}`]) {
      await child.match(new RegExp(`held: ${step}\\.\n`))
      t.ok(await isRefused(port), step)
      child.process.stdin?.write('go\n')
    }
    const identity = await answer
    isNobody(t, identity)
    t.ok(identity.threads >= 10, `${identity.threads} threads`)
    t.same(identity.shadow, { main: 'EACCES', pool: 'EACCES', worker: 'EACCES' })
    t.equal(identity.umask, 0o027)
    t.match(child.output, `Dropped privileges to nobody (uid ${nobody.uid}, gid ${nobody.gid}), groups ${nobodyGroups}\n`)
    for (const thread of readdirSync(`/proc/${child.pid}/task`)) {
      const status = readFileSync(`/proc/${child.pid}/task/${thread}/status`, 'utf8')
      t.match(status, new RegExp(`\nUid:(\\s${nobody.uid}){4}\nGid:(\\s${nobody.gid}){4}\n`))
    }
    child.kill('SIGTERM')
    t.same(await child.ended, { code: 0, signal: null })
  }
})

test('nothing of root\'s groups is left when only a user is named', { skip: needsRoot() }, async t => {
  // CherryPy 18.8 with a user alone kept group 0 and the supplementary groups; without those of the user set anew, a
  // root in the group shadow left /etc/shadow readable.
  const child = start(t, { user: 'nobody' }, { env: { GROUPS: JSON.stringify([0, 4, SHADOW_GROUP]), HOME: '/root', USER: 'root', LOGNAME: 'root' } })
  const identity = await identityOf(child)
  isNobody(t, identity)
  t.same(identity.shadow, { main: 'EACCES', pool: 'EACCES', worker: 'EACCES' })
  t.notMatch(identity.environment.join(), 'root')
  t.same(identity.environment.slice(1), ['nobody', 'nobody'])
})

test('user and group are taken by name, by number and by digits in a string', { skip: needsRoot() }, async t => {
  const byNumber = await identityOf(start(t, { user: nobody.uid, group: SHADOW_GROUP + 54_000 }))
  t.match(byNumber, { Uid: [new RegExp(`^${nobody.uid} `)], Gid: [/^54042 /], environment: [/./, 'nobody', 'nobody'] })
  t.ok(byNumber.Groups[0]?.split(' ').includes('54042'))
  t.notOk(byNumber.Groups[0]?.split(' ').includes('0'))
  isNobody(t, await identityOf(start(t, { user: String(nobody.uid) })))
  const shared = readFileSync('/etc/group', 'utf8').split('\n').map(line => line.split(':')).find(([, , gid]) => Number(gid) > 0) as string[]
  t.match(await identityOf(start(t, { user: 'nobody', group: shared[0] })), { Gid: [Array(4).fill(shared[2]).join(' ')] })
})

test('a number without an entry is a user whose only group is its own, at home in /', { skip: needsRoot() }, async t => {
  const identity = await identityOf(start(t, { user: 54_321 }, { env: { GROUPS: JSON.stringify([0, 4]) } }))
  t.match(identity, { Uid: ['54321 54321 54321 54321'], Gid: ['54321 54321 54321 54321'], Groups: ['54321'], waysBack: [], canSetGroups: false })
  t.same(identity.environment, ['/', null, null])
})

test('a number without an entry does not get a group of others unasked', { skip: needsRoot() }, async t => {
  const uids = new Set(readFileSync('/etc/passwd', 'utf8').split('\n').map(line => line.split(':')[2]))
  const [name, , gid] = readFileSync('/etc/group', 'utf8').split('\n').map(line => line.split(':')).find(([, , id]) => id !== undefined && !uids.has(id)) as string[]
  t.match(await refusal(t, start(t, { user: Number(gid) }), 78), `no user has the number ${gid}, and the group ${gid} is "${name}", which need not be its own: name the group by the option "group"`)
  t.match(await identityOf(start(t, { user: Number(gid), group: 54_321 })), { Gid: ['54321 54321 54321 54321'] })
})

test('a user\'s supplementary groups are set, from the system\'s database, and count for what it can read', { skip: needsMounts() }, async t => {
  const dir = directory(t)
  writeFileSync(join(dir, 'passwd'), 'root:x:0:0:root:/root:/bin/sh\nshop:x:54321:54322::/srv/shop:/bin/false\n')
  writeFileSync(join(dir, 'group'), 'root:x:0:\nshop:x:54322:\nkeys:x:54323:other,shop\nlogs:x:54324:shop\nothers:x:54325:other\n')
  const key = join(dir, 'key')
  writeFileSync(key, 'secret')
  chmodSync(key, 0o640)
  const through = ['unshare', '--mount', 'sh', '-c', `mount --bind ${dir}/passwd /etc/passwd && mount --bind ${dir}/group /etc/group && exec "$@"`, 'sh']

  chownSync(key, 0, 54_323)
  const identity = await identityOf(start(t, { user: 'shop', readable: [key] }, { through, env: { GROUPS: JSON.stringify([0, 54_325]) } }))
  t.match(identity, { Gid: ['54322 54322 54322 54322'], Groups: ['54322 54323 54324'], environment: ['/srv/shop', 'shop', 'shop'] })
  t.match(await identityOf(start(t, { user: 'shop', group: 'others' }, { through })), { Gid: ['54325 54325 54325 54325'], Groups: ['54323 54324 54325'] })

  chownSync(key, 0, 54_325)
  const foreign = start(t, { user: 'shop', readable: [key] }, { through, env: { GROUPS: JSON.stringify([54_325]) } })
  t.match(await refusal(t, foreign, 77), `shop (uid 54321, gid 54322) will not be able to read ${key} (EACCES)`)
})

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

test('a process that is the target already is left as it is, but for the umask', async t => {
  const as = process.getuid?.() === 0 ? { as: nobody } : {}
  const { uid, gid } = as.as ?? { uid: process.getuid?.(), gid: process.getgid?.() }
  const log = join(directory(t), 'log')
  writeFileSync(log, 'a line\n')
  const child = start(t, { user: uid, group: gid, umask: 0o077, files: [log], readable: [log] }, { ...as, env: { HOME: '/home/of/ours' } })
  const identity = await identityOf(child)
  t.match(identity, { Uid: [Array(4).fill(uid).join(' ')], Gid: [Array(4).fill(gid).join(' ')], umask: 0o077, waysBack: [], environment: ['/home/of/ours'] })
  t.match(child.output, /Running as .* already, no privileges to drop\n/)
  t.equal(statSync(log).uid, process.getuid?.(), 'files are not touched')
})

test('a process of the target user with another group, or with root in reserve, is not the target', { skip: needsRoot() || needs('setpriv') }, async t => {
  // What a launcher leaves that changes the user alone.
  const groupOfRoot = start(t, { user: 'nobody' }, { through: ['setpriv', `--reuid=${nobody.uid}`, '--clear-groups'] })
  t.match(await refusal(t, groupOfRoot, 77), `runs as uid ${nobody.uid}, gid 0, and only root can change that`)
  const ambient = ['setpriv', `--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, '--clear-groups', '--inh-caps=+setuid', '--ambient-caps=+setuid']
  t.match(await refusal(t, start(t, { user: 'nobody' }, { through: ambient }), 77), 'privileges were not dropped to nobody')
})

test('a second start of the bus drops nothing twice, and a second user cannot be had', { skip: needsRoot() }, async t => {
  const child = new Child(t, process.execPath, [fileURLToPath(new URL('fixtures/drops-twice.js', import.meta.url))], { env: plainEnvironment() })
  t.same(await child.ended, { code: 77, signal: null })
  t.equal(child.output.match(/Dropped privileges to nobody/g)?.length, 1)
  t.match(child.output, /Dropped privileges to nobody[^]*Bus STOPPED[^]*Running as nobody .* already[^]*Bus STOPPED[^]*cannot become a user without a name \(uid 54321/)
})

test('log files are given to the user and keep their mode', { skip: needsRoot() }, async t => {
  const dir = directory(t)
  const logs = ['access.log', 'error.log'].map(name => join(dir, name))
  for (const log of logs) writeFileSync(log, 'a line\n', { mode: 0o640 })
  await identityOf(start(t, { user: 'nobody', files: logs }))
  for (const log of logs) t.match(statSync(log), { uid: nobody.uid, gid: nobody.gid, mode: 0o100640, nlink: 1 })
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

test('a user that only the system\'s name service knows is found through getent, and its silence is not taken for a no', { skip: needsRoot() }, async t => {
  const dir = directory(t)
  const getent = (body: string): NodeJS.ProcessEnv => {
    writeFileSync(join(dir, 'getent'), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    return { PATH: `${dir}:${process.env.PATH}` }
  }
  const known = getent('case "$1 $2" in "passwd remote") echo "remote:*:54321:54322:,,,:/home/remote:/bin/sh";; "group team") echo "team:*:54323:";; *) exit 2;; esac')
  t.match(await identityOf(start(t, { user: 'remote' }, { env: known })), { Uid: [/^54321 /], Gid: [/^54322 /], Groups: ['54322'], environment: ['/home/remote', 'remote', 'remote'] })
  t.match(await identityOf(start(t, { user: 'remote', group: 'team' }, { env: known })), { Gid: [/^54323 /], Groups: ['54323'] })
  const silent = start(t, { user: 'remote' }, { env: getent('exit 1') })
  t.match(await refusal(t, silent, 71), '"getent passwd remote" failed: it ended with 1')
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

test('after unsubscribe() a start looks for no user', async t => {
  const engine = new Engine()
  new DropPrivileges(engine, { user: 'no-such-user' }).subscribe().subscribe().unsubscribe()
  await engine.start()
  t.equal(engine.state, 'STARTED')
  await engine.exit()
})

test('one thread that differs, one field that is missing, or no thread at all is a fault', async t => {
  const status = ({ uid = '33\t33\t33\t33', groups = '33 103 ', ambient = `CapAmb:\t${NO_CAPABILITIES}\n` } = {}): string =>
    `Name:\tnode\nUid:\t${uid}\nGid:\t33\t33\t33\t33\nFDSize:\t64\nGroups:\t${groups}\nCapInh:\t${NO_CAPABILITIES}\nCapPrm:\t${NO_CAPABILITIES}\nCapEff:\t${NO_CAPABILITIES}\nCapBnd:\t000001ffffffffff\n${ambient}`
  const identity = { uid: 33, gid: 33, groups: [33, 103] }
  t.same(threadFaults([status(), status()], identity), [])
  t.same(threadFaults([status(), status({ uid: '33\t33\t0\t33' })], identity), ['Uid is "33 33 0 33" in 1 of 2 threads, not "33 33 33 33"'])
  t.same(threadFaults([status({ groups: '33 ' })], identity), ['Groups is "33" in 1 of 1 threads, not "33 103"'])
  t.same(threadFaults([status({ groups: '33 103 110 ' })], identity), ['Groups is "33 103 110" in 1 of 1 threads, not "33 103"'])
  t.same(threadFaults([status({ ambient: '' })], identity), [`CapAmb is "missing" in 1 of 1 threads, not "${NO_CAPABILITIES}"`])
  t.same(threadFaults([], identity), ['the system shows no thread of the process'])
})

test('digits are a name first and then a number, and a broken line is nobody', async t => {
  const text = '33:x:1000:1000::/:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\nbroken:x\n+::::::\nempty:x::0::/:/bin/sh\n'
  t.equal(findEntry(text, '33')?.[2], '1000')
  t.equal(findEntry(text, 33)?.[0], 'www-data')
  t.equal(findEntry(text, 'www-data')?.[2], '33')
  for (const name of ['broken', '+', 'empty', 'www', 0]) t.equal(findEntry(text, name), undefined)
})
