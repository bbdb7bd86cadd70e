import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { chmodSync, chownSync, copyFileSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import tls from 'node:tls'
import { createDevelopmentCertificate, createServerContext, developmentCertificate, type DevelopmentCertificateOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { needs, needsRoot } from '../programs.ts'
import { exitStatus, failureOf } from './lab.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const certificateIn = (path: string) => new X509Certificate(readFileSync(path))

const directoryOf = (t: Test) => `${t.testdir({})}/a/certificates`

test('a good set is kept', async t => {
  const directory = directoryOf(t)
  const first = await developmentCertificate({ directory })
  const leaf = readFileSync(first.cert, 'utf8')
  const second = await developmentCertificate({ directory, names: ['::1', 'LOCALHOST'] })
  t.same(second, { ...first, created: false })
  t.equal(readFileSync(first.cert, 'utf8'), leaf)
})

test('a set is kept whatever the order of its names', async t => {
  const directory = directoryOf(t)
  const names = ['127.0.0.1', 'localhost', '::1', 'example.test']
  await developmentCertificate({ directory, names })
  t.equal((await developmentCertificate({ directory, names })).created, false)
})

const replaced: Record<string, { before?: Partial<DevelopmentCertificateOptions>, damage?: (directory: string, other: string) => void, asked?: Partial<DevelopmentCertificateOptions> }> = {
  'that lacks a name asked for': { asked: { names: ['localhost', 'example.test'] } },
  'that lacks an address asked for': { asked: { names: ['localhost', '192.0.2.1'] } },
  'with 7 days left': { before: { days: 7 } },
  'without its certificate': { damage: directory => rmSync(`${directory}/cert.pem`) },
  'without its key': { damage: directory => rmSync(`${directory}/key.pem`) },
  'with an empty key': { damage: directory => writeFileSync(`${directory}/key.pem`, '') },
  'with the authority of another': { damage: (directory, other) => copyFileSync(`${other}/ca.pem`, `${directory}/ca.pem`) },
  'whose key others can read': { damage: directory => chmodSync(`${directory}/key.pem`, 0o640) },
}

for (const [what, { before, damage, asked }] of Object.entries(replaced)) {
  test(`a set ${what} is replaced`, async t => {
    const directory = directoryOf(t)
    const first = await developmentCertificate({ directory, ...before })
    const { fingerprint256 } = certificateIn(first.cert)
    await developmentCertificate({ directory: `${directory}-other` })
    damage?.(directory, `${directory}-other`)

    const second = await developmentCertificate({ directory, ...asked })
    t.equal(second.created, true)
    t.not(certificateIn(second.cert).fingerprint256, fingerprint256)
    t.ok(certificateIn(second.cert).verify(certificateIn(second.ca).publicKey))
    t.equal(statSync(second.key).mode & 0o777, 0o600)
    t.same(readdirSync(directory).sort(), ['ca.pem', 'cert.pem', 'key.pem'])
    t.equal((await developmentCertificate({ directory, ...asked })).created, false)
  })
}

test('a set of a clock that was ahead is replaced', async t => {
  const directory = directoryOf(t)
  const script = 'Date.now = () => new Date().getTime() + 86_400_000; const { developmentCertificate } = await import("@fastkeep/tls-context"); await developmentCertificate({ directory: process.env.DIRECTORY })'
  t.equal(exitStatus(script, { DIRECTORY: directory }), 0)
  t.equal((await developmentCertificate({ directory })).created, true)
})

test('a key behind a symbolic link is neither used nor written through', async t => {
  const directory = directoryOf(t)
  const { key } = await developmentCertificate({ directory })
  const target = `${directory}/../target.pem`
  copyFileSync(key, target)
  const victim = readFileSync(target, 'utf8')
  rmSync(key)
  symlinkSync(target, key)
  t.equal((await developmentCertificate({ directory })).created, true)
  t.notOk(lstatSync(key).isSymbolicLink())
  t.equal(readFileSync(target, 'utf8'), victim)
})

test('whenever the process dies while a set is replaced, no mixed set is left', async t => {
  const directory = directoryOf(t)
  await createDevelopmentCertificate({ directory })
  // A process that exits before its n-th removal or renaming of a file of the set: what a crash at that moment leaves.
  const script = `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    let left = Number(process.env.STEPS)
    for (const name of ['rm', 'rename']) {
      const real = fs.promises[name]
      fs.promises[name] = (...args) => { if (args.some(path => /\\.pem$/.test(path)) && left-- === 0) process.exit(9); return real(...args) }
    }
    syncBuiltinESMExports()
    const { createDevelopmentCertificate } = await import('@fastkeep/tls-context')
    await createDevelopmentCertificate({ directory: process.env.DIRECTORY })`
  for (let steps = 0; steps <= 4; steps++) {
    const before = certificateIn(`${directory}/cert.pem`).fingerprint256
    const status = exitStatus(script, { DIRECTORY: directory, STEPS: String(steps) })
    t.equal(status, steps === 4 ? 0 : 9)
    const isWhole = existsSync(`${directory}/cert.pem`)
    t.equal(isWhole, steps === 0 || steps === 4)
    if (isWhole) t.doesNotThrow(() => createServerContext({ cert: `${directory}/cert.pem`, key: `${directory}/key.pem` }))
    const { created, cert } = await developmentCertificate({ directory })
    t.equal(created, !isWhole)
    t.equal(certificateIn(cert).fingerprint256 === before, steps === 0)
  }
})

test('certificates and keys of another origin are left alone', async t => {
  const root = t.testdir({})
  const foreign = tls.rootCertificates[0] ?? ''
  const make = (name: string, fill: (directory: string) => void) => {
    const directory = `${root}/${name}`
    mkdirSync(directory, { mode: 0o700 })
    fill(directory)
    return directory
  }
  const directories = [
    make('certificate', directory => writeFileSync(`${directory}/cert.pem`, foreign)),
    make('authority', directory => writeFileSync(`${directory}/ca.pem`, foreign)),
    make('key', directory => writeFileSync(`${directory}/key.pem`, 'a key')),
    make('link', directory => {
      writeFileSync(`${directory}/archive.pem`, foreign)
      symlinkSync('archive.pem', `${directory}/cert.pem`)
    }),
  ]
  for (const directory of directories) {
    const before = readdirSync(directory)
    await t.rejects(developmentCertificate({ directory }), { code: code('DIRECTORY_TAKEN'), exitCode: 78, message: new RegExp(directory) })
    await t.rejects(createDevelopmentCertificate({ directory }), { code: code('DIRECTORY_TAKEN') })
    t.same(readdirSync(directory), before)
  }
  t.equal(readFileSync(`${root}/certificate/cert.pem`, 'utf8'), foreign)
})

const foreignFiles: Record<string, (directory: string) => void> = {
  'a key of another origin': directory => writeFileSync(`${directory}/key.pem`, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })),
  'an encrypted key': directory => writeFileSync(`${directory}/key.pem`, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' })),
  'a certificate that is not PEM': directory => writeFileSync(`${directory}/cert.pem`, 'DER'),
  'a link that leads nowhere': directory => {
    rmSync(`${directory}/key.pem`)
    symlinkSync('missing.pem', `${directory}/key.pem`)
  },
}

for (const [what, put] of Object.entries(foreignFiles)) {
  test(`${what} beside what is ours is left alone`, async t => {
    const directory = directoryOf(t)
    await developmentCertificate({ directory })
    put(directory)
    const contents = () => readdirSync(directory).map(file => [file, lstatSync(`${directory}/${file}`).ino, lstatSync(`${directory}/${file}`).mtimeMs])
    const before = contents()
    await t.rejects(developmentCertificate({ directory }), { code: code('DIRECTORY_TAKEN'), exitCode: 78 })
    await t.rejects(createDevelopmentCertificate({ directory }), { code: code('DIRECTORY_TAKEN') })
    t.same(contents(), before)
  })
}

for (const file of ['ca.pem', 'cert.pem', 'key.pem']) {
  test(`a FIFO in the place of ${file} is refused and not waited for`, { skip: needs('mkfifo') }, async t => {
    const directory = directoryOf(t)
    await developmentCertificate({ directory })
    rmSync(`${directory}/${file}`)
    execFileSync('mkfifo', [`${directory}/${file}`])
    t.equal(failureOf('await tls.developmentCertificate({ directory: process.env.DIRECTORY })', { DIRECTORY: directory }), code('DIRECTORY_TAKEN'))
  })
}

test('a directory that others can write to is refused, with a good set in it and without', async t => {
  const directory = directoryOf(t)
  await developmentCertificate({ directory })
  for (const mode of [0o720, 0o702, 0o1777]) {
    chmodSync(directory, mode)
    await t.rejects(developmentCertificate({ directory }), { code: code('DIRECTORY_NOT_USABLE'), exitCode: 78, message: new RegExp(`${directory} .*chmod go-w`) })
  }
  for (const file of readdirSync(directory)) rmSync(`${directory}/${file}`)
  await t.rejects(createDevelopmentCertificate({ directory }), { code: code('DIRECTORY_NOT_USABLE') })
  t.same(readdirSync(directory), [])
})

test('a directory of another user is refused', { skip: needsRoot() }, async t => {
  const directory = directoryOf(t)
  await developmentCertificate({ directory })
  chownSync(directory, 65_534, 65_534)
  await t.rejects(developmentCertificate({ directory }), { code: code('DIRECTORY_NOT_USABLE'), message: /belongs to another user/ })
})

for (const file of ['ca.pem', 'cert.pem', 'key.pem']) {
  test(`a set whose ${file} is of another user is replaced`, { skip: needsRoot() }, async t => {
    const directory = directoryOf(t)
    await developmentCertificate({ directory })
    chownSync(`${directory}/${file}`, 65_534, 65_534)
    t.equal((await developmentCertificate({ directory })).created, true)
    t.equal(statSync(`${directory}/${file}`).uid, process.geteuid?.())
  })
}

test('an authority that only bears our name is not ours', { skip: needs('openssl') }, async t => {
  const directory = directoryOf(t)
  const constrained = 'nameConstraints=critical,permitted;DNS:localhost,permitted;DNS:example.test,permitted;IP:127.0.0.1/255.255.255.255,permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  for (const [name, constraints] of [['free', ''], ['wider', constrained]] as const) {
    const set = forgedSet(`${directory}/${name}`, constraints)
    if (name === 'free') await t.rejects(developmentCertificate({ directory: set }), { code: code('DIRECTORY_TAKEN') })
    else t.equal((await developmentCertificate({ directory: set })).created, true)
  }
})

/** An authority and a leaf of openssl's under the names that ours bear. */
function forgedSet (directory: string, constraints: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-config', '../openssl.cnf']
  writeFileSync(`${directory}/../openssl.cnf`, `[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n${constraints}\n`)
  writeFileSync(`${directory}/../leaf.cnf`, 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nauthorityKeyIdentifier=keyid\n')
  openssl('req', '-x509', '-days', '90', ...newKey, '-subj', '/CN=Fastkeep development CA 00000000', '-extensions', 'ca', '-out', 'ca.pem', '-keyout', '../ca.key')
  openssl('req', ...newKey, '-subj', '/CN=Fastkeep development certificate', '-out', '../leaf.csr', '-keyout', 'key.pem')
  openssl('x509', '-req', '-days', '90', '-in', '../leaf.csr', '-CA', 'ca.pem', '-CAkey', '../ca.key', '-set_serial', '1', '-extfile', '../leaf.cnf', '-out', 'cert.pem')
  chmodSync(`${directory}/key.pem`, 0o600)
  return directory
}
