// The browser's scripts: what is wrong with them as they stand. Types are tsc's concern (tsconfig.json).
import js from "@eslint/js";
import globals from "globals";

const strict = {
  ...js.configs.recommended.rules,
  "array-callback-return": "error",
  eqeqeq: "error",
  "no-constructor-return": "error",
  "no-implicit-globals": "error",
  "no-self-compare": "error",
  "no-shadow": "error",
  "no-template-curly-in-string": "error",
  "no-unmodified-loop-condition": "error",
  "no-unreachable-loop": "error",
  "no-unused-expressions": ["error", { allowShortCircuit: true }],
  "no-use-before-define": ["error", { functions: false }],
  "no-var": "error",
  "prefer-const": "error",
  radix: "error",
  "require-atomic-updates": "error",
  strict: ["error", "function"],
};

export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["assets/*.js"],
    languageOptions: { sourceType: "script", globals: globals.browser },
    rules: strict,
  },
  {
    files: ["eslint.config.js", "tests/javascript/*.js"],
    languageOptions: { globals: globals.node },
    rules: { ...strict, strict: "off" },
  },
];
