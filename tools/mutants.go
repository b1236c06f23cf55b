//go:build ignore

// Mutants of a Go file, as mutants.py has them of a Python one: `go run mutants.go <FILE` prints them as JSON, each
// with the changed source. Some do not compile; those are nobody's fault.
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"strconv"
	"strings"
)

type mutant struct {
	Line    string `json:"line"`
	What    string `json:"what"`
	Becomes string `json:"becomes"`
	Where   string `json:"where"`
	Source  string `json:"source"`
}

// The boundary first, where there is one, then the opposite.
var comparisons = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ},
	token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ},
	token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ},
	token.NEQ: {token.EQL},
}

var arithmetic = map[token.Token]token.Token{
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.QUO,
	token.AND: token.OR, token.OR: token.AND, token.XOR: token.AND, token.SHL: token.SHR, token.SHR: token.SHL,
	token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN,
}

var functions = map[string]string{
	"min": "max", "max": "min", "HasPrefix": "HasSuffix", "HasSuffix": "HasPrefix",
	"SortFunc": "SortStableFunc", "SortStableFunc": "SortFunc",
}

type file struct {
	source []byte
	set    *token.FileSet
	where  string
	found  []mutant
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	source, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, "", source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	read := &file{source: source, set: set, found: []mutant{}}
	for _, declaration := range tree.Decls {
		read.where = ""
		if function, is := declaration.(*ast.FuncDecl); is {
			read.where = function.Name.Name
		}
		ast.Walk(read, declaration)
	}
	return json.NewEncoder(os.Stdout).Encode(read.found)
}

func (f *file) text(node ast.Node) string {
	return string(f.source[f.set.Position(node.Pos()).Offset:f.set.Position(node.End()).Offset])
}

// replace notes the mutant that has another text where the node is.
func (f *file) replace(node ast.Node, becomes string) {
	begin, end := f.set.Position(node.Pos()), f.set.Position(node.End())
	line := strings.Split(string(f.source), "\n")[begin.Line-1]
	f.found = append(f.found, mutant{
		Line:    strings.TrimSpace(line),
		What:    oneLine(f.text(node)),
		Becomes: oneLine(becomes),
		Where:   f.where,
		Source:  string(f.source[:begin.Offset]) + becomes + string(f.source[end.Offset:]),
	})
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

// Visit leaves out imports, types and the tags of their fields.
func (f *file) Visit(node ast.Node) ast.Visitor {
	switch node := node.(type) {
	case *ast.ImportSpec, *ast.StructType, *ast.InterfaceType, *ast.FuncType, *ast.FieldList, *ast.ArrayType:
		return nil
	case *ast.IfStmt:
		f.condition(node.Cond)
	case *ast.SwitchStmt:
		f.cases(node)
	case *ast.BinaryExpr:
		f.binary(node)
	case *ast.UnaryExpr:
		if node.Op == token.NOT || node.Op == token.SUB {
			f.replace(node, f.text(node.X))
		}
	case *ast.BasicLit:
		f.literal(node)
	case *ast.Ident:
		switch node.Name {
		case "true":
			f.replace(node, "false")
		case "false":
			f.replace(node, "true")
		}
	case *ast.CallExpr:
		f.call(node)
	case ast.Stmt:
		f.statement(node)
	}
	return f
}

// condition keeps what is named in it in use, for the compiler.
func (f *file) condition(condition ast.Expr) {
	f.replace(condition, "("+f.text(condition)+") || true")
	f.replace(condition, "("+f.text(condition)+") && false")
}

func (f *file) cases(statement *ast.SwitchStmt) {
	for _, each := range statement.Body.List {
		clause := each.(*ast.CaseClause)
		for index, value := range clause.List {
			if statement.Tag == nil {
				f.condition(value)
			} else if len(clause.List) > 1 {
				other := clause.List[(index+1)%len(clause.List)]
				f.withoutCase(clause, value, other)
			}
		}
	}
}

// withoutCase leaves one value out of a list of them.
func (f *file) withoutCase(clause *ast.CaseClause, value, other ast.Expr) {
	kept := []string{}
	for _, each := range clause.List {
		if each != value {
			kept = append(kept, f.text(each))
		}
	}
	begin, end := f.set.Position(clause.List[0].Pos()), f.set.Position(clause.List[len(clause.List)-1].End())
	f.found = append(f.found, mutant{
		Line:    oneLine(string(f.source[f.set.Position(clause.Pos()).Offset : f.set.Position(clause.Colon).Offset+1])),
		What:    oneLine(f.text(value)),
		Becomes: "left out",
		Where:   f.where,
		Source:  string(f.source[:begin.Offset]) + strings.Join(kept, ", ") + string(f.source[end.Offset:]),
	})
}

func (f *file) binary(node *ast.BinaryExpr) {
	left, right := f.text(node.X), f.text(node.Y)
	if node.Op == token.LAND || node.Op == token.LOR {
		f.replace(node, left)
		f.replace(node, right)
		return
	}
	others := comparisons[node.Op]
	if other, is := arithmetic[node.Op]; is {
		others = []token.Token{other}
	}
	for _, other := range others {
		f.replace(node, left+" "+other.String()+" "+right)
	}
}

func (f *file) literal(node *ast.BasicLit) {
	switch node.Kind {
	case token.INT:
		if value, err := strconv.ParseUint(node.Value, 0, 64); err == nil {
			f.replace(node, strconv.FormatUint(value+1, 10))
			if value > 0 {
				f.replace(node, strconv.FormatUint(value-1, 10))
			}
		}
	case token.FLOAT:
		f.replace(node, "("+node.Value+" * 1.5)")
	case token.CHAR:
		if value, _, _, err := strconv.UnquoteChar(node.Value[1:], '\''); err == nil {
			f.replace(node, strconv.QuoteRune(value+1))
		}
	case token.STRING:
		f.replace(node, `"surprise"`)
	}
}

func (f *file) call(node *ast.CallExpr) {
	name, isIdent := node.Fun.(*ast.Ident)
	if selector, is := node.Fun.(*ast.SelectorExpr); is {
		name = selector.Sel
	} else if !isIdent {
		return
	}
	if other, is := functions[name.Name]; is {
		f.replace(name, other)
	}
	if isIdent && name.Name == "append" {
		f.replace(node, f.text(node.Args[0]))
	}
}

func (f *file) statement(node ast.Stmt) {
	switch node := node.(type) {
	case *ast.ExprStmt:
		f.replace(node, "")
	case *ast.IncDecStmt:
		f.replace(node, f.text(node.X)+" += 2")
		f.replace(node, "")
	case *ast.BranchStmt:
		switch node.Tok {
		case token.BREAK:
			f.replace(node, "continue")
		case token.CONTINUE:
			f.replace(node, "break")
		}
	case *ast.AssignStmt:
		if other, is := arithmetic[node.Tok]; is {
			f.replace(node, f.text(node.Lhs[0])+" "+other.String()+" "+f.text(node.Rhs[0]))
		}
		if node.Tok != token.DEFINE {
			f.replace(node, "")
		}
	}
}
