import { test } from 'tap'
import { Child, plainEnvironment } from '../child.js'
import { nodeOf } from '../on-node.ts'
import { CLI, Project } from './project.js'

/** From 22.18 and 23.6 on it strips types without a flag. */
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript)

async function answer (project: Project, child: Child): Promise<unknown> {
  const { urls: [url = ''] } = await project.serving(child)
  return await (await fetch(url.startsWith('http') ? url : `http://${url}`, { headers: { connection: 'close' } })).json()
}

for (const [kind, args] of [['one process', []], ['workers', ['--workers', '1']]] as const) {
  test(`a TypeScript app, ${kind}: a Node that does not run it says what to do, with 78; with --import tsx it is served`, async t => {
    const project = new Project(t)
    if (!stripsTypes) {
      const { code, output } = await project.run(['start', 'typed.ts', ...args])
      t.equal(code, 78)
      t.match(output, /typed\.ts: Node v20\S+ does not run this TypeScript .*; install tsx and start with --import tsx, or use Node 22\.18 or later/)
    }
    const child = project.begin(['start', 'typed.ts', '--import', 'tsx', '--pid-file', project.pidFile, '--drain-restart-idle-window', '50', ...args])
    t.same(await answer(project, child), { app: 'typed' })
    t.equal((await project.run(['restart', '--pid-file', project.pidFile])).code, 0)
    t.same(await answer(project, child), { app: 'typed' }, 'its successor runs it too')
    t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
  })
}

test('a Node that strips types serves it without anything, with workers too', { skip: stripsTypes && 'the tests before run on such a one' }, async t => {
  const project = new Project(t)
  const child = new Child(t, await nodeOf(24), [CLI, 'start', 'typed.ts', '--workers', '1', '--pid-file', project.pidFile], { cwd: project.directory, env: plainEnvironment() })
  t.same(await answer(project, child), { app: 'typed' })
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('a loader by node\'s own --import serves it as well, and check loads what start would', async t => {
  const project = new Project(t)
  const child = project.begin(['start', 'typed.ts', '--pid-file', project.pidFile], { nodeArgs: ['--import', import.meta.resolve('tsx')] })
  t.same(await answer(project, child), { app: 'typed' })
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
  t.match(await project.run(['check', 'typed.ts', '--import', 'tsx']), { code: 0, output: /ok +app: typed\.ts exports a (plugin|factory)/ })
  t.match(await project.run(['start', 'typed.ts', '--import', 'tsxx']), { code: 78, output: /--import tsxx: Cannot find module 'tsxx'; it is looked for from the working directory/ })
})
