From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

(******************************************************************************)
(* The nested layer: one pair of factors, used at any rank (claims LIN).      *)
(* Components are numbered from 0 here and in Python, from 1 in the paper.    *)
(*                                                                            *)
(*      d_in, d_out == widths of input and output                             *)
(*                R == number of components stored                            *)
(*                A == first factor, 'M_(R, d_in), rows a_i       Python: A   *)
(*                B == second factor, 'M_(d_out, R), columns b_i  Python: B   *)
(*                b == the bias, 'rV_d_out, one for all ranks     Python: b   *)
(*                x == n inputs, one a row, 'M_(n, d_in)          Python: x   *)
(*       rowpre A r == A_r, the first r rows of A                 A[:r]       *)
(*       colpre B r == B_r, the first r columns of B              B[:, :r]    *)
(*       Wpre B A r == W_r = B_r A_r            B[:, :r] @ A[:r]              *)
(*         bias n b == the bias in each of n rows                             *)
(* nested_linear x A B b r == the outputs at rank r   nested_linear_forward   *)
(*                                                                            *)
(* rowpre and colpre are products with pid_mx, so that they are defined for   *)
(* every natural number r; rowpre_slice and colpre_slice say that they are    *)
(* the slices when r <= R.                                                    *)
(*                                                                            *)
(*       im_sub M N == the image of M (acting on columns) is in that of N     *)
(*        im_eq M N == M and N have the same image                            *)
(*      ker_sub M N == the kernel of M is in that of N                        *)
(******************************************************************************)

Section Prefixes.

Variables (F : fieldType) (d_in d_out R : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)) (r s : nat).

Definition rowpre A r : 'M[F]_(r, d_in) := pid_mx r *m A.
Definition colpre B r : 'M[F]_(d_out, r) := B *m pid_mx r.
Definition Wpre B A r : 'M[F]_(d_out, d_in) := colpre B r *m rowpre A r.

Lemma rowpre_slice A r (h : (r <= R)%N) : rowpre A r = rowsub (widen_ord h) A.
Proof.
rewrite rowsubE /rowpre; congr (_ *m _); apply/matrixP=> i j.
by rewrite !mxE ltn_ord andbT.
Qed.

Lemma colpre_slice B r (h : (r <= R)%N) : colpre B r = colsub (widen_ord h) B.
Proof.
apply/matrixP=> i j; rewrite !mxE (bigD1 (widen_ord h j)) //= big1 ?addr0.
  by rewrite !mxE /= eqxx ltn_ord mulr1.
by move=> k kj; rewrite !mxE -(inj_eq val_inj) /= in kj *; rewrite (negPf kj) mulr0.
Qed.

Lemma rowpre_step A r s : (r <= s)%N -> rowpre A r = pid_mx r *m rowpre A s.
Proof.
move=> rs; rewrite /rowpre mulmxA mul_pid_mx; congr (pid_mx _ *m _).
by rewrite (minn_idPl rs) (minn_idPr rs).
Qed.

Lemma colpre_step B r s : (r <= s)%N -> colpre B r = colpre B s *m pid_mx r.
Proof.
move=> rs; rewrite /colpre -mulmxA mul_pid_mx; congr (_ *m pid_mx _).
by rewrite (minn_idPr rs) (minn_idPr rs).
Qed.

Lemma WpreE B A r : Wpre B A r = B *m (pid_mx r : 'M_R) *m A.
Proof. by rewrite /Wpre /colpre /rowpre -mulmxA (mulmxA (pid_mx r)) pid_mx_id // mulmxA. Qed.

Lemma Wpre_coef B A r i j : Wpre B A r i j = \sum_(k < R | (k < r)%N) B i k * A k j.
Proof.
rewrite WpreE -mulmxA !mxE [RHS]big_mkcond; apply: eq_bigr => k _.
rewrite !mxE (bigD1 k) //= big1 ?addr0 => [|l lk]; rewrite !mxE.
  by rewrite eqxx; case: (k < r)%N; rewrite ?mul1r ?mul0r ?mulr0.
by rewrite eq_sym (inj_eq val_inj) (negPf lk) mul0r.
Qed.

Lemma Wpre_full B A : Wpre B A R = B *m A.
Proof. by rewrite WpreE pid_mx_1 mulmx1. Qed.

Lemma Wpre0 B A : Wpre B A 0 = 0.
Proof. by rewrite WpreE pid_mx_0 mulmx0 mul0mx. Qed.

End Prefixes.

Section Layer.

Variables (F : fieldType) (d_in d_out R n : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)) (b : 'rV[F]_d_out) (x : 'M[F]_(n, d_in)).

Definition bias b : 'M[F]_(n, d_out) := const_mx 1 *m b.

Definition nested_linear x A B b r : 'M[F]_(n, d_out) := x *m (rowpre A r)^T *m (colpre B r)^T + bias b.

Lemma nested_linearE x A B b r : nested_linear x A B b r = x *m (Wpre B A r)^T + bias b.
Proof. by rewrite /nested_linear (trmx_mul (colpre B r)) mulmxA. Qed.

End Layer.

Section Images.

Variable F : fieldType.

Definition im_sub m n1 n2 (M : 'M[F]_(m, n1)) (N : 'M[F]_(m, n2)) :=
  forall x : 'cV[F]_n1, exists y : 'cV[F]_n2, M *m x = N *m y.

Definition im_eq m n1 n2 (M : 'M[F]_(m, n1)) (N : 'M[F]_(m, n2)) := im_sub M N /\ im_sub N M.

Definition ker_sub m1 m2 n (M : 'M[F]_(m1, n)) (N : 'M[F]_(m2, n)) :=
  forall x : 'cV[F]_n, M *m x = 0 -> N *m x = 0.

Lemma im_subP m n1 n2 (M : 'M[F]_(m, n1)) (N : 'M[F]_(m, n2)) : im_sub M N <-> (M^T <= N^T)%MS.
Proof.
split=> [h | /submxP[D eD] x].
  apply/row_subP=> i; have [y ey] := h (delta_mx i 0).
  by rewrite rowE -[delta_mx 0 i]trmx_delta -trmx_mul ey trmx_mul submxMl.
by exists (D^T *m x); rewrite mulmxA -[N]trmxK -trmx_mul -eD trmxK.
Qed.

End Images.

Lemma col_mulmx (F : fieldType) m n p (M : 'M[F]_(m, n)) (N : 'M[F]_(n, p)) j : col j (M *m N) = M *m col j N.
Proof. by rewrite !colE mulmxA. Qed.

(* Products with pid_mx, entry by entry. *)
Section PidMx.

Variables (F : fieldType) (R : nat).

Lemma pid_mulE q (M : 'M[F]_(R, q)) r i j : ((pid_mx r : 'M_R) *m M) i j = (i < r)%:R * M i j.
Proof.
rewrite mxE (bigD1 i) //= big1 ?addr0 => [|k ki]; rewrite !mxE ?eqxx //.
by rewrite eq_sym (inj_eq val_inj) (negPf ki) mul0r.
Qed.

Lemma mul_pidE q (M : 'M[F]_(q, R)) r i j : (M *m (pid_mx r : 'M_R)) i j = M i j * (j < r)%:R.
Proof.
rewrite mxE (bigD1 j) //= big1 ?addr0 => [|k ki]; rewrite !mxE ?eqxx //.
by rewrite (inj_eq val_inj) (negPf ki) mulr0.
Qed.

End PidMx.
