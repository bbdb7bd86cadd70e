import { readFileSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { test, type Test } from 'tap'
import { requestControl, type EngineStatus } from '@fastkeep/engine'
import { createDevelopmentCertificate } from '@fastkeep/tls-context'
import { plainEnvironment } from '../child.js'
import { needs } from '../programs.js'
import { onTerminal } from '../terminal.js'
import { CLI, Project } from './project.js'

const PASSPHRASE = 'correct horse battery staple'

interface Answer {
  pid: number
  passphrase: string
}

async function answerOf (project: Project): Promise<Answer> {
  const { urls } = await requestControl(`${project.pidFile}.sock`, 'status') as EngineStatus
  return await (await fetch(urls[0]?.startsWith('http') === true ? urls[0] : `http://${urls[0]}`, { headers: { connection: 'close' } })).json() as Answer
}

/** Starts a daemon from a terminal and types the passphrase when it is asked for. */
async function startTyping (t: Test, project: Project, args: readonly string[], app = 'secretive.mjs'): Promise<string> {
  const child = onTerminal(t, process.execPath, [CLI, 'start', app, '--daemon', '--pid-file', project.pidFile, '--drain-restart-idle-window', '50', ...args], {
    cwd: project.directory, env: plainEnvironment(),
  })
  await child.match(new RegExp(`Passphrase of ${project.path('key.pem')}: `))
  child.process.stdin?.write(`${PASSPHRASE}\r`)
  t.equal((await child.ended).code, 0)
  return child.output
}

test('a passphrase is asked for once, by the launcher, and every later process of the service has it', { skip: needs('python3') }, async t => {
  const project = new Project(t)
  const shown = await startTyping(t, project, ['--workers', '1', '--ask-passphrase', 'key.pem'])
  t.equal(shown.match(/Passphrase/g)?.length, 1)
  t.notMatch(shown, PASSPHRASE, 'it is not echoed')
  const first = await answerOf(project)
  t.equal(first.passphrase, PASSPHRASE)

  process.kill(first.pid, 'SIGKILL')
  const respawned = await answerOf(project)
  t.match(respawned, { passphrase: PASSPHRASE })
  t.equal((await project.run(['reload', '--pid-file', project.pidFile])).code, 0)
  const reloaded = await answerOf(project)
  t.match(reloaded, { passphrase: PASSPHRASE })
  t.equal((await project.run(['restart', '--pid-file', project.pidFile])).code, 0)
  const restarted = await answerOf(project)
  t.match(restarted, { passphrase: PASSPHRASE })
  t.equal(new Set([first, respawned, reloaded, restarted].map(({ pid }) => pid)).size, 4)

  const { pid } = await requestControl(`${project.pidFile}.sock`, 'status') as EngineStatus
  for (const one of [pid, restarted.pid]) {
    for (const file of ['environ', 'cmdline']) t.notMatch(readFileSync(`/proc/${one}/${file}`, 'utf8'), 'horse')
  }
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('a single process has it too, and its successor', { skip: needs('python3') }, async t => {
  const project = new Project(t)
  await startTyping(t, project, ['--ask-passphrase', 'key.pem'])
  const { pid, passphrase } = await answerOf(project)
  t.equal(passphrase, PASSPHRASE)
  t.equal((await project.run(['restart', '--pid-file', project.pidFile])).code, 0)
  const successor = await answerOf(project)
  t.not(successor.pid, pid)
  t.equal(successor.passphrase, PASSPHRASE)
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('without a terminal a start ends with 78, and so does a restart that needs a passphrase nobody has typed; the old process serves on', { skip: needs('setsid') }, async t => {
  const project = new Project(t)
  const refused = await project.runWithoutTerminal(['start', 'secretive.mjs', '--ask-passphrase', 'key.pem'])
  t.equal(refused.code, 78)
  t.match(refused.output, /there is no terminal to ask for the passphrase of .*key\.pem on, or none was typed; start the service from a terminal/)

  writeFileSync(project.path('fastkeep.config.json'), JSON.stringify({ workers: 1, pidFile: project.pidFile, drain: { restartIdleWindow: 50 } }))
  t.equal((await project.runWithoutTerminal(['start', 'secretive.mjs', '--daemon'])).code, 0)
  const before = await answerOf(project)
  writeFileSync(project.path('fastkeep.config.json'), JSON.stringify({ workers: 1, pidFile: project.pidFile, askPassphrase: ['key.pem'] }))
  const restart = await project.run(['restart'])
  t.equal(restart.code, 78)
  t.match(restart.output, /the restart failed, this process goes on serving: the successor says: .*there is no terminal/)
  t.equal((await answerOf(project)).pid, before.pid)
  t.equal((await project.run(['stop'])).code, 0)
})

test('an encrypted TLS key is opened by it in workers, new ones included', { skip: needs('python3') }, async t => {
  const project = new Project(t)
  const { ca } = await createDevelopmentCertificate({ directory: project.directory, passphrase: PASSPHRASE })
  await startTyping(t, project, ['--workers', '1', '--ask-passphrase', 'key.pem'], 'encrypted.mjs')
  const { urls: [address = ''] } = await requestControl(`${project.pidFile}.sock`, 'status') as EngineStatus
  const pidOf = async (): Promise<number> => {
    const request = https.get({ port: address.split(':').at(-1), ca: readFileSync(ca), agent: false })
    const [response] = await once(request, 'response') as [IncomingMessage]
    return (JSON.parse(await text(response)) as Answer).pid
  }
  const before = await pidOf()
  t.equal((await project.run(['reload', '--pid-file', project.pidFile])).code, 0)
  t.not(await pidOf(), before)
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)

  const unasked = await project.run(['start', 'encrypted.mjs', '--workers', '1'])
  t.equal(unasked.code, 78, 'workers ask nobody by themselves')
  t.match(unasked.output, /--ask-passphrase/)
})
