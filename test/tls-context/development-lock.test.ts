import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { createDevelopmentCertificate, developmentCertificate } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { Child } from '../child.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`

const directoryOf = (t: Test) => `${t.testdir({})}/a/certificates`

test('of calls at once one alone makes the certificate, and all get it', async t => {
  const directory = directoryOf(t)
  const results = await Promise.all(Array.from({ length: 12 }, () => developmentCertificate({ directory })))
  t.equal(results.filter(({ created }) => created).length, 1)
  t.equal(new Set(results.map(({ validTo }) => validTo.getTime())).size, 1)
  t.same(readdirSync(directory).sort(), ['ca.pem', 'cert.pem', 'key.pem'])
})

test('of processes at once one alone makes the certificate, and all can serve with it', async t => {
  const directory = directoryOf(t)
  const script = `import tls from '@fastkeep/tls-context'
    process.stdin.resume().once('end', async () => {
      const { created, cert, key } = await tls.developmentCertificate({ directory: process.env.DIRECTORY })
      tls.createServerContext({ cert, key })
      console.log(created ? 'made' : 'kept')
    })
    console.log('waits')`
  const children = Array.from({ length: 4 }, () => new Child(t, process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname, stdio: 'pipe', env: { ...process.env, DIRECTORY: directory } }))
  await Promise.all(children.map(child => child.match(/waits/)))
  for (const child of children) child.process.stdin?.end()
  const outcomes = await Promise.all(children.map(child => child.match(/made|kept/)))
  t.equal(outcomes.filter(([outcome]) => outcome === 'made').length, 1)
})

test('calls at once that each make a new certificate leave one whole set', async t => {
  const directory = directoryOf(t)
  await Promise.all(Array.from({ length: 8 }, () => createDevelopmentCertificate({ directory })))
  t.equal((await developmentCertificate({ directory })).created, false)
})

test('a lock that a dead process left behind is taken over', async t => {
  const directory = directoryOf(t)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const { pid } = spawnSync('true')
  writeFileSync(`${directory}/.lock`, `${pid} ${hostname()}`)
  t.equal((await developmentCertificate({ directory })).created, true)
  t.notOk(existsSync(`${directory}/.lock`))
})

test('a lock that is no file is named', async t => {
  const directory = directoryOf(t)
  mkdirSync(`${directory}/.lock`, { recursive: true, mode: 0o700 })
  await t.rejects(developmentCertificate({ directory }), { code: code('DIRECTORY_NOT_USABLE'), message: /\.lock is a directory/ })
})
