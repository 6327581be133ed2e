import hooks from "eslint-plugin-react-hooks";
import { defineConfig } from "eslint/config";
import ts from "typescript-eslint";

export default defineConfig(
  ts.configs.strictTypeChecked,
  hooks.configs.flat["recommended-latest"],
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      complexity: ["error", 12],
      "max-lines": ["error", 400],
      "no-console": "error",
      // Answers, names and documents are strangers' text.
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "Strangers' text is never HTML." },
        { selector: "AssignmentExpression[left.property.name=/^(inner|outer)HTML$/]", message: "Nor in this way." },
      ],
      // Numbers in templates are for keys and addresses; what people read goes through i18n.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // How the router is told to go elsewhere.
      "@typescript-eslint/only-throw-error": [
        "error",
        { allow: [{ from: "package", package: "@tanstack/router-core", name: "Redirect" }] },
      ],
      // `() => doIt()` as a handler says what it does.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  { ignores: ["*.config.*", "node_modules"] },
);
