// `npm test`: installs, builds, lints, type-checks, runs every test. `npm test -- FILE...` runs just those files.
// With CI=true, as root, the tests whose meaning changes with the user run once more for an ordinary one.
// The last line is always `N passed, N failed, N skipped`; lint and type check count as one test each.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { asOrdinaryUser } from './ordinary-user.js'
import { bin, root, run, say, setUp, SetupError } from './setup.js'

const files = process.argv.slice(2)
const count = { passed: 0, failed: 0 }
/** By name, why; of two users one can run what the other cannot. */
const skipped = new Map()
const hasRun = new Set()

if (step('set-up', setUp)) {
  if (files.length === 0) {
    check('lint', () => run('node', [bin('eslint/bin/eslint.js'), '--max-warnings=0', '.']))
    check('type check of the tests', () => run('node', [bin('typescript/bin/tsc'), '-p', 'test', '--noEmit']))
  }
  await runTests(files, { cwd: root })
  if (files.length === 0 && process.env.CI === 'true' && process.getuid?.() === 0) {
    say('tests as an ordinary user')
    await asOrdinaryUser(runTests)
  }
}
for (const name of hasRun) skipped.delete(name)
for (const [name, reason] of skipped) console.log(`skipped - ${name}: ${reason}`)
console.log(`${count.passed} passed, ${count.failed} failed, ${skipped.size} skipped`)
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0

function check (name, action) {
  say(name)
  if (step(name, action)) count.passed++
}

function step (name, action) {
  try {
    action()
    return true
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    count.failed++
    console.log(`not ok - ${name}: ${error.message}`)
    return false
  }
}

/** Counts what stands below each file: its tests, not their single assertions. */
async function runTests (files, options) {
  const { Parser } = await import('tap-parser')
  const tap = spawn(process.execPath, [join(options.cwd, 'node_modules/tap/dist/esm/run.mjs'), 'run', '--reporter=tap', ...files], {
    ...options, stdio: ['ignore', 'pipe', 'inherit'],
  })
  const parser = new Parser()
  const failedBefore = count.failed
  parser.on('child', file => {
    file.on('assert', test => note(file.name, test))
    file.on('child', test => test.on('assert', assertion => explain(`${file.name} > ${test.name}`, assertion)))
    file.on('bailout', reason => console.log(`bail out: ${file.name}: ${reason}`))
  })
  parser.on('assert', file => {
    console.log(`${file.ok ? 'ok' : 'not ok'} - ${file.name}${file.time === undefined || file.time === null ? '' : ` (${Math.round(file.time)} ms)`}`)
    // A file that failed outside its tests: it did not load, hung, or crashed.
    if (!file.ok && count.failed === failedBefore) {
      count.failed++
      console.log(JSON.stringify(file.diag ?? {}, undefined, 2))
    }
  })
  tap.stdout.pipe(parser)
  const code = await new Promise(resolve => tap.on('close', resolve))
  if (code !== 0 && count.failed === failedBefore) {
    count.failed++
    console.log(`not ok - tap ended with ${code}`)
  }
}

function note (file, test) {
  const name = `${file} > ${test.name}`
  if (test.skip || test.todo) {
    skipped.set(name, test.skip || test.todo)
    return
  }
  hasRun.add(name)
  if (test.ok) {
    count.passed++
  } else {
    count.failed++
    console.log(`not ok - ${name}`)
    if (test.diag) console.log(indented(test.diag))
  }
}

function explain (path, assertion) {
  if (!assertion.ok && !assertion.skip && !assertion.todo) console.log(`    ${path} > ${assertion.name}\n${indented(assertion.diag ?? {})}`)
}

function indented (diag) {
  const { source, stack, ...rest } = diag
  return [JSON.stringify(rest, undefined, 2), source, stack].filter(Boolean).join('\n').replace(/^/gm, '      ')
}
