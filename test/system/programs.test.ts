import { test } from 'tap'
import { needs } from '../programs.js'

test('a program that is not installed is a reason to skip, and an error where CI=true', async t => {
  const { CI } = process.env
  t.teardown(() => { if (CI === undefined) delete process.env.CI; else process.env.CI = CI })
  delete process.env.CI
  t.equal(needs('no-such-program'), 'no-such-program is not installed')
  t.equal(needs('node'), false)
  process.env.CI = 'true'
  t.throws(() => needs('no-such-program'), { message: /no-such-program is not installed, and with CI=true no test may be skipped for that/ })
})
