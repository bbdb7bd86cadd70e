import { chmodSync, chownSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { Engine, DropPrivileges } from '@fastkeep/engine'
import { threadFaults } from '../../packages/engine/src/plugins/privileges-check.js'
import { findEntry } from '../../packages/engine/src/plugins/users.js'
import { Child, plainEnvironment } from '../child.js'
import { needsRoot } from '../programs.js'
import { directory, firstAnswer, freeLowPort, identityOf, isNobody, isRefused, needsMounts, NO_CAPABILITIES, nobody, nobodyGroups, refusal, SHADOW_GROUP, start } from './privileged-service.js'

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
