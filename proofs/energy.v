From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear gauge norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* The energy of a component and what it bounds (ENG), and the balanced gauge *)
(* (GAU-5). Lemma 1, Assumption 1 and Proposition 1 are those of              *)
(* arXiv:2509.17874v1.                                                        *)
(*                                                                            *)
(* nrm (row i A), nrm (col i B) == norm(a_i), norm(b_i)         factor_norms  *)
(* nrm (col i B) * nrm (row i A) == the energy of component i                 *)
(*                                                        component_energies  *)
(*          balanced_exists: the factors that balance(A, B) returns           *)
(******************************************************************************)

Section Energy.

Variable F : rcfType.
Variables (d_in d_out R : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)).

(* ENG-1. Lemma 1: norm(f(x; r+1) - f(x; r)) <= norm(b_(r+1)) norm(a_(r+1)) norm(x). *)
Theorem lemma1 n (x : 'M[F]_(n, d_in)) A B b r (h : (r < R)%N) :
  nrm (nested_linear x A B b r.+1 - nested_linear x A B b r) <=
  nrm (col (Ordinal h) B) * nrm (row (Ordinal h) A) * nrm x.
Proof.
rewrite (nested_linear_succ _ _ _ _ h) addrAC subrr add0r -mulrA mulrC.
apply: le_trans (nrmM _ _) _; rewrite nrm_tr ler_wpmul2r ?nrm_ge0 //.
by apply: le_trans (nrmM _ _) _; rewrite nrm_tr mulrC.
Qed.

(* ENG-2. The change between two ranks on data X, before norm(a_i X) is bounded. *)
Theorem energy_data B A r s p (X : 'M[F]_(d_in, p)) : (r <= s)%N ->
  nrm ((Wpre B A s - Wpre B A r) *m X) <=
  \sum_(i < R | (r <= i < s)%N) nrm (col i B) * nrm (row i A *m X).
Proof.
move=> rs; rewrite Wpre_telescope // mulmx_suml.
apply: le_trans (nrm_sum _ _ _) _; apply: ler_sum => i _.
by rewrite -mulmxA nrmM.
Qed.

Lemma energy_bound_col B A r s n (x : 'M[F]_(d_in, n)) : (r <= s)%N ->
  nrm ((Wpre B A s - Wpre B A r) *m x) <=
  (\sum_(i < R | (r <= i < s)%N) nrm (col i B) * nrm (row i A)) * nrm x.
Proof.
move=> rs; apply: le_trans (energy_data _ _ _ rs) _.
rewrite big_distrl /=; apply: ler_sum => i _; rewrite -mulrA.
by apply: ler_wpmul2l; [exact: nrm_ge0 | exact: nrmM].
Qed.

Lemma nested_linear_sub n (x : 'M[F]_(n, d_in)) A B b r s :
  nested_linear x A B b s - nested_linear x A B b r = ((Wpre B A s - Wpre B A r) *m x^T)^T.
Proof.
rewrite (trmx_mul (_ - _)) trmxK linearB /= mulmxBr !nested_linearE.
by rewrite opprD addrACA subrr addr0.
Qed.

(* ENG-2. norm(f(x; s) - f(x; r)) <= norm(x) times the sum of norm(b_i) norm(a_i) over
   r <= i < s. Assumption 1 of the paper is not used. *)
Theorem energy_bound n (x : 'M[F]_(n, d_in)) A B b r s : (r <= s)%N ->
  nrm (nested_linear x A B b s - nested_linear x A B b r) <=
  (\sum_(i < R | (r <= i < s)%N) nrm (col i B) * nrm (row i A)) * nrm x.
Proof. by move=> rs; rewrite nested_linear_sub nrm_tr -(nrm_tr x); exact: energy_bound_col. Qed.

(* ENG-2. Proposition 1 for one layer. The data are finitely many inputs x k with weights
   p k; the loss of each, which may use its label, is Lc-Lipschitz in the output. *)
Theorem prop1 (K : finType) (p : K -> F) (x : K -> 'M[F]_(1, d_in)) (ell : K -> 'M[F]_(1, d_out) -> F) (Lc : F)
    A B b r s : (r <= s)%N -> (forall k, 0 <= p k) -> 0 <= Lc ->
  (forall k y z, `|ell k y - ell k z| <= Lc * nrm (y - z)) ->
  `|\sum_k p k * ell k (nested_linear (x k) A B b s) - \sum_k p k * ell k (nested_linear (x k) A B b r)| <=
  Lc * (\sum_k p k * nrm (x k)) * \sum_(i < R | (r <= i < s)%N) nrm (col i B) * nrm (row i A).
Proof.
move=> rs p0 L0 hell; rewrite -sumrB; apply: le_trans (ler_norm_sum _ _ _) _.
rewrite -mulrA mulr_suml mulr_sumr; apply: ler_sum => k _.
rewrite -mulrBr normrM (ger0_norm (p0 k)) -(mulrA (p k)) mulrCA ler_wpmul2l //.
apply: le_trans (hell _ _ _) _; rewrite ler_wpmul2l // [leRHS]mulrC; exact: energy_bound.
Qed.

(* ENG-2. The weights themselves: norm(W_s - W_r) is at most the same sum. *)
Theorem energy_bound_weights B A r s : (r <= s)%N ->
  nrm (Wpre B A s - Wpre B A r) <=
  \sum_(i < R | (r <= i < s)%N) nrm (col i B) * nrm (row i A).
Proof.
move=> rs; rewrite Wpre_telescope //; apply: le_trans (nrm_sum _ _ _) _.
by apply: ler_sum => i _; rewrite nrm_rank1.
Qed.

(* ENG-1. One component: equality for the weights, so the constant cannot be improved. *)
Theorem energy_step_tight B A r (h : (r < R)%N) :
  nrm (Wpre B A r.+1 - Wpre B A r) = nrm (col (Ordinal h) B) * nrm (row (Ordinal h) A).
Proof. by rewrite (Wpre_succ _ _ h) addrAC subrr add0r nrm_rank1. Qed.

Lemma diag_unit (d : 'rV[F]_R) : (forall i, d 0 i != 0) -> diag_mx d \in unitmx.
Proof. by move=> nz; rewrite unitmxE det_diag unitfE; apply/prodf_neq0 => i _. Qed.

Lemma row_gauge A (d : 'rV[F]_R) i : row i (diag_mx d *m A) = d 0 i *: row i A.
Proof. by apply/rowP=> j; rewrite mul_diag_mx !mxE. Qed.

Lemma invmx_diag (d : 'rV[F]_R) : (forall i, d 0 i != 0) ->
  invmx (diag_mx d) = diag_mx (\row_i (d 0 i)^-1).
Proof.
move=> nz; apply: (row_full_inj (A := diag_mx d)).
  by rewrite row_full_unit diag_unit.
rewrite mulmxV ?diag_unit // mulmx_diag; apply/matrixP=> i j; rewrite !mxE.
by case: eqP => //= _; rewrite mulfV.
Qed.

Lemma col_gauge B (d : 'rV[F]_R) i : (forall i, d 0 i != 0) ->
  col i (B *m invmx (diag_mx d)) = (d 0 i)^-1 *: col i B.
Proof.
by move=> nz; rewrite invmx_diag //; apply/colP=> j; rewrite mul_mx_diag !mxE mulrC.
Qed.

(* ENG-4. norm(b_i) norm(a_i) does not depend on the gauge. *)
Theorem energy_gauge_invariant B A (d : 'rV[F]_R) i : (forall i, d 0 i != 0) ->
  nrm (col i (B *m invmx (diag_mx d))) * nrm (row i (diag_mx d *m A)) =
  nrm (col i B) * nrm (row i A).
Proof.
move=> nz; rewrite col_gauge // row_gauge !nrmZ mulrACA normfV mulVf ?mul1r //.
by rewrite normr_eq0.
Qed.

(* ENG-3. Any positive row norms can be reached without changing a single W_r, so
   Assumption 1 (norms that do not increase) says nothing about the function. *)
Theorem row_norms_arbitrary B A (c : 'I_R -> F) :
  (forall i, 0 < c i) -> (forall i, row i A != 0) ->
  exists d : 'rV[F]_R,
    [/\ forall i, d 0 i != 0,
        forall r, Wpre (B *m invmx (diag_mx d)) (diag_mx d *m A) r = Wpre B A r
      & forall i, nrm (row i (diag_mx d *m A)) = c i].
Proof.
move=> c0 nzA; have nA i : nrm (row i A) != 0 by rewrite nrm_eq0.
pose d : 'rV[F]_R := \row_i (c i / nrm (row i A)).
have nz i : d 0 i != 0 by rewrite mxE mulf_neq0 ?invr_eq0 ?(gt_eqF (c0 i)) ?nA.
exists d; split=> // [r | i].
  by apply: gauge_diag; [exact: diag_unit | exact: diag_mx_is_diag].
rewrite row_gauge nrmZ mxE ger0_norm ?mulfVK //.
by rewrite mulr_ge0 ?invr_ge0 ?nrm_ge0 ?ltW.
Qed.

Lemma eq_components (B B' : 'M[F]_(d_out, R)) (A A' : 'M[F]_(R, d_in)) r :
  (forall i, col i B *m row i A = col i B' *m row i A') -> Wpre B A r = Wpre B' A' r.
Proof. by move=> e; rewrite !Wpre_sum; apply: eq_bigr => i _. Qed.

(* GAU-5. Every layer has factors with norm(a_i) = norm(b_i) and the same W_r at every
   rank; a component with a zero factor becomes zero in both. *)
Theorem balanced_exists B A : exists (B' : 'M[F]_(d_out, R)) (A' : 'M[F]_(R, d_in)),
  [/\ forall r, Wpre B' A' r = Wpre B A r,
      forall i, nrm (row i A') = nrm (col i B')
    & forall i, nrm (row i A') ^+ 2 = nrm (col i B) * nrm (row i A)].
Proof.
have loc i : exists q : F * F, [/\ (q.1 *: col i B) *m (q.2 *: row i A) = col i B *m row i A,
    nrm (q.2 *: row i A) = nrm (q.1 *: col i B) & nrm (q.2 *: row i A) ^+ 2 = nrm (col i B) * nrm (row i A)].
  case: (eqVneq (row i A) 0) => [-> | na].
    by exists (0, 0); rewrite /= !scale0r !mulmx0 !nrm0 expr0n mulr0.
  case: (eqVneq (col i B) 0) => [-> | nb].
    by exists (0, 0); rewrite /= !scale0r !mul0mx !nrm0 expr0n mul0r.
  have a0 : 0 < nrm (row i A) by rewrite lt_def nrm_eq0 na nrm_ge0.
  have b0 : 0 < nrm (col i B) by rewrite lt_def nrm_eq0 nb nrm_ge0.
  pose t := Num.sqrt (nrm (col i B) / nrm (row i A)).
  have t0 : 0 < t by rewrite sqrtr_gt0 divr_gt0.
  have t2 : t ^+ 2 = nrm (col i B) / nrm (row i A) by rewrite sqr_sqrtr // ltW // divr_gt0.
  have e2 : (t * nrm (row i A)) ^+ 2 = nrm (col i B) * nrm (row i A).
    by rewrite exprMn t2 expr2 mulrA divfK ?gt_eqF.
  exists (t^-1, t); rewrite /= -scalemxAl -scalemxAr scalerA mulVf ?gt_eqF // scale1r !nrmZ.
  rewrite !gtr0_norm ?invr_gt0 // e2; split=> //; apply: (mulfI (lt0r_neq0 t0)).
  by rewrite [RHS]mulrA mulfV ?gt_eqF // mul1r mulrA -expr2 t2 divfK ?gt_eqF.
have /fin_all_exists[q qP] := loc.
exists (\matrix_(j, i) ((q i).1 * B j i)), (\matrix_(i, j) ((q i).2 * A i j)).
have eB i : col i (\matrix_(j, i) ((q i).1 * B j i)) = (q i).1 *: col i B by apply/colP=> j; rewrite !mxE.
have eA i : row i (\matrix_(i, j) ((q i).2 * A i j)) = (q i).2 *: row i A by apply/rowP=> j; rewrite !mxE.
by split=> [r | i | i]; [apply: eq_components => i | |]; rewrite ?eA ?eB; case: (qP i).
Qed.

(* GAU-5. The balanced factors are unique up to one sign for each non-zero component. *)
Theorem balanced_unique (B B' : 'M[F]_(d_out, R)) (A A' : 'M[F]_(R, d_in)) :
  (forall i, nrm (row i A) = nrm (col i B)) -> (forall i, nrm (row i A') = nrm (col i B')) ->
  (forall r, Wpre B A r = Wpre B' A' r) -> (forall i, col i B *m row i A != 0) ->
  exists2 d : 'rV[F]_R, (forall i, d 0 i = 1 \/ d 0 i = -1) & A' = diag_mx d *m A /\ B' = B *m diag_mx d.
Proof.
move=> bal bal' eW nz; have [d nd [eA eB]] := factors_identifiable eW nz.
have d1 i : d 0 i ^+ 2 = 1.
  have na : nrm (row i A) != 0 by rewrite nrm_eq0; apply: contraNneq (nz i) => ->; rewrite mulmx0.
  have := bal' i; rewrite eA eB row_gauge col_gauge // !nrmZ -bal normfV => /(mulIf na) e.
  by rewrite -[_ ^+ 2]real_normK ?num_real // expr2 {1}e mulVf // normr_eq0.
exists d => [i | ].
  by have /eqP := d1 i; rewrite sqrf_eq1 => /orP[] /eqP ->; [left | right].
split=> //; rewrite eB invmx_diag //; congr (_ *m _); congr diag_mx; apply/rowP=> i; rewrite mxE.
by apply: (mulfI (nd i)); rewrite mulfV // -expr2 d1.
Qed.

End Energy.

(* ENG-3. The smallest case: a 1 x 1 layer, gauge 2. *)
Theorem row_norm_not_invariant (F : rcfType) :
  exists (B A G : 'M[F]_1),
    [/\ G \in unitmx, is_diag_mx G
      & nrm (row 0 (G *m A)) != nrm (row 0 A)].
Proof.
exists 1%:M, 1%:M, (2%:R)%:M; split; first by rewrite unitmxE det_scalar1 unitfE pnatr_eq0.
  exact: scalar_mx_is_diag.
have n1 : nrm (row 0 (1%:M : 'M[F]_1)) = 1.
  by rewrite /nrm sqnE !big_ord1 !mxE eqxx expr1n sqrtr1.
rewrite mul_scalar_mx (_ : row 0 _ = 2%:R *: row 0 1%:M); last by apply/rowP=> j; rewrite !mxE.
by rewrite nrmZ n1 mulr1 normr_nat pnatr_eq1.
Qed.
