import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap, { test, type Test } from 'tap'
import { createDevelopmentCertificate } from '@fastkeep/tls-context'
import { failedIn } from '../../bench/load/client.js'
import { loads } from '../../bench/restart/loads.js'
import { losses } from '../../bench/restart/markdown.js'
import { SCENARIOS } from '../../bench/restart/ours.js'
import { stopAndStart } from '../../bench/restart/peers/node.js'
import { freePorts } from '../../bench/restart/ports.js'
import { run, type Outcome } from '../../bench/restart/run.js'
import type { Scenario } from '../../bench/restart/service.js'

/** ms: clients think for less than the service keeps their connections. */
const KEEP_ALIVE = 1_000
const PACE = { think: 600, long: 1_000 }
const PLAN = { times: 1, interval: 300, longest: 60_000, warmUp: 300, quiet: 300, aftermath: 1_500 }

/** A scenario of `npm run bench -- restart` for a moment, every kind of client at once. */
async function actedOut (t: Test, scenario: Scenario): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-restart-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const { ca } = await createDevelopmentCertificate({ directory })
  writeFileSync(join(directory, 'tickets'), randomBytes(48))
  const site = { ports: await freePorts(), directory, keepAliveTimeout: KEEP_ALIVE, workers: 2 }
  return await run(scenario, '', site, PLAN, loads(site, readFileSync(ca, 'utf8'), PACE))
}

tap.jobs = 3

for (const scenario of SCENARIOS) {
  test(`${scenario.name}, every kind of client at once: ${scenario.kills === true ? 'nothing is lost but what the killed worker had in flight' : 'nothing is lost'}`, { buffered: true }, async t => {
    const outcome = await actedOut(t, scenario)
    t.equal(outcome.acts, PLAN.times)
    t.same(losses(outcome), [])
    for (const [name, load] of Object.entries(outcome.loads)) t.ok(load.run.ok > 0, `${name}: ${load.run.ok} answered`)
  })
}

test('control: the same clients see what `app.close()` and a new start lose', { buffered: true }, async t => {
  const { loads } = await actedOut(t, stopAndStart)
  const failed = Object.values(loads).reduce((sum, { run }) => sum + failedIn(run), 0)
  t.ok(failed > 0, `${failed} lost`)
})
