// Writes each variable that is set into the file from which later steps get theirs; the token is masked in logs.
const fs = require('fs');

const names = [
  'ACTIONS_RUNTIME_TOKEN', 'ACTIONS_RESULTS_URL', 'ACTIONS_CACHE_URL', 'ACTIONS_CACHE_SERVICE_V2', 'ACTIONS_CACHE_MODE',
];
for (const name of names) {
  const value = process.env[name];
  if (!value) continue;
  if (name === 'ACTIONS_RUNTIME_TOKEN') console.log(`::add-mask::${value}`);
  fs.appendFileSync(process.env.GITHUB_ENV, `${name}=${value}\n`);
}
